/**
 * Connects a command to its bus and turns what goes wrong there into a Failure. It must not know what is asked of the
 * bus, nor how a failure is shown.
 */
import { ConnectError } from "@connectrpc/connect";
import { BusRefusal, refusalFromConnect } from "../client/bus-refusal.ts";
import { connectBus, type MessageBusClient } from "../client/connect-bus.ts";
import { NotKeptError } from "../client/outbox/outbox-errors.ts";
import { UnreachableError } from "../client/unreachable-error.ts";
import type { Settings } from "../config.ts";
import { EXIT } from "./exit-codes.ts";
import { Failure, localFailure, usageFailure } from "./failure.ts";

/** Longer than the ten seconds for which a bus tries to reach its store, so that its own word arrives. */
const ANSWER_TIMEOUT_MS = 15_000;
const START_ONE = 'Start one with "agentbus serve", or name its address: --url or AGENTBUS_URL.';
const ASK_DOCTOR = '"agentbus doctor" says what is wrong there.';

/** The bus that the settings name. A call that waits for mail takes `waitSeconds` longer. */
export function busOf(settings: Settings, waitSeconds = 0, answerMs = ANSWER_TIMEOUT_MS): MessageBusClient {
  const timeoutMs = answerMs + waitSeconds * 1000;
  return usable(() => connectBus({ urls: settings.url, token: settings.token, timeoutMs }));
}

/** Makes a client. What it throws then is about a setting that a person gave. */
export function usable<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw usageFailure(localFailure(error).message);
  }
}

/** Waits for one answer. `advice` may add a sentence to what went wrong. */
export async function answerOf<T>(call: Promise<T>, advice?: (failure: Failure) => string | undefined): Promise<T> {
  try {
    return await call;
  } catch (error) {
    const failure = failureOf(error);
    const sentence = advice?.(failure);
    throw sentence === undefined ? failure : failure.and(sentence);
  }
}

/** What makes a repeat safe, where it is unknown whether the message was stored. */
export function repeatSafely(requestId: string): (failure: Failure) => string | undefined {
  return ({ outcomeUnknown }) =>
    outcomeUnknown
      ? `It may have been stored: repeat it with --request-id ${requestId} and it is stored once.`
      : undefined;
}

function failureOf(error: unknown): Failure {
  if (error instanceof UnreachableError) {
    const nothingThere = error.attempts.every(({ why }) => why === "ECONNREFUSED");
    const advice = nothingThere ? START_ONE : ASK_DOCTOR;
    // That nothing could be kept either has an advice of its own.
    const message = `UNREACHABLE: ${error.message}.${error instanceof NotKeptError ? "" : ` ${advice}`}`;
    const document = { code: "unavailable", reason: "UNREACHABLE", message, field: "" };
    return new Failure(EXIT.unreachable, document, error.mayHaveArrived);
  }
  const refusal = error instanceof ConnectError ? refusalFromConnect(error) : error;
  if (!(refusal instanceof BusRefusal)) return localFailure(error);
  const { code, reason, violations, retryAfterMs } = refusal;
  // The bus speaks of headers, which are not given here.
  const message = `${refusal.message}${reason === "TOKEN_MISSING" ? " (here: AGENTBUS_TOKEN, or --token)" : ""}`;
  const document = {
    code,
    reason,
    message,
    field: violations[0]?.field ?? "",
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
  const unavailable = code === "unavailable";
  return new Failure(unavailable ? EXIT.unreachable : EXIT.refused, document, unavailable);
}
