/**
 * Makes a call again where that does no harm and may help: behind a lost connection, an UNAVAILABLE, a rate limit that
 * says when it ends. It knows no method by its name and no address; what ends a call for good leaves it as a BusRefusal
 * or an UnreachableError.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { DescMessage } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { BusRefusal, invalidField, refusalFromConnect } from "./bus-refusal.ts";
import { askedToWaitMs, isRepeatable, repeatableRequest } from "./repeatable.ts";
import { UnreachableError } from "./unreachable-error.ts";
import { refuseBrokenText } from "./well-formed.ts";

const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 2000;

export interface RetryLimits {
  /** How long one try may stay without an answer, besides the time that it is asked to wait for mail. */
  readonly timeoutMs: number;
  /** From the first failure on: where no bus answers, or one says UNAVAILABLE. 0: no retry. */
  readonly unavailableForMs: number;
  /** From the first refusal on: where a rate limit says when it ends. A longer wait is not begun. 0: no retry. */
  readonly limitedForMs: number;
}

/** A call's own timeoutMs is the deadline of all its tries together. Aborting its signal rejects with the signal's reason. */
export function withRetries(transport: Transport, limits: RetryLimits): Transport {
  return {
    async unary(method, signal, timeoutMs, header, input, contextValues) {
      const request = repeatableRequest(method, input);
      refuseBrokenText(method.input, request as Readonly<Record<string, unknown>>);
      const tryMs = limits.timeoutMs + askedToWaitMs(request);
      const end = timeoutMs === undefined || timeoutMs <= 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
      const patience = new Patience(limits);
      for (;;) {
        signal?.throwIfAborted();
        // At least one: Connect takes 0 for no deadline at all.
        const leftMs = Math.max(1, Math.ceil(Math.min(tryMs, end - performance.now())));
        try {
          return await transport.unary(method, signal, leftMs, header, request, contextValues);
        } catch (error) {
          signal?.throwIfAborted();
          const failure = failureOf(error, method.input);
          const waitMs = patience.waitBefore(failure, isRepeatable(method, request));
          if (waitMs === undefined || performance.now() + waitMs >= end) throw failure;
          // What it throws is told by the signal itself, in the caller's own words.
          await delay(waitMs, undefined, signal && { signal }).catch(() => {});
        }
      }
    },
    stream: (...call) => transport.stream(...call),
  };
}

function failureOf(error: unknown, input: DescMessage): unknown {
  if (!(error instanceof ConnectError)) return error;
  // Connect's own words for a value that its field can't hold, such as 1.5 for a whole number: nothing was sent.
  const [, why] = /^serialize binary: (.*)/s.exec(error.rawMessage) ?? [];
  return why !== undefined && error.code === Code.Internal ? invalidField(input.name, why) : refusalFromConnect(error);
}

/** The back-off of one call. */
class Patience {
  readonly #limits: RetryLimits;
  readonly #since = new Map<"unavailable" | "limited", number>();
  #failures = 0;

  constructor(limits: RetryLimits) {
    this.#limits = limits;
  }

  /** Milliseconds before the next try; undefined: there is none. */
  waitBefore(failure: unknown, repeatable: boolean): number | undefined {
    const told = failure instanceof BusRefusal ? (failure.retryAfterMs ?? 0) : 0;
    const kind = kindOf(failure, repeatable);
    if (kind === undefined) return undefined;
    const now = performance.now();
    const since = this.#since.get(kind) ?? now;
    this.#since.set(kind, since);
    const waitMs = told + fullJitterMs(this.#failures++);
    const patienceMs = kind === "limited" ? this.#limits.limitedForMs : this.#limits.unavailableForMs;
    return now + waitMs > since + patienceMs ? undefined : waitMs;
  }
}

function kindOf(failure: unknown, repeatable: boolean): "unavailable" | "limited" | undefined {
  if (failure instanceof UnreachableError) {
    return failure.mayPass && (repeatable || !failure.mayHaveArrived) ? "unavailable" : undefined;
  }
  if (!(failure instanceof BusRefusal)) return undefined;
  if (failure.code === "unavailable") return repeatable ? "unavailable" : undefined;
  // Nothing was done, so that any method may be repeated; without a time it is not the kind that passes.
  return failure.code === "resource_exhausted" && failure.retryAfterMs !== undefined ? "limited" : undefined;
}

/** Anything from 0 up to a bound that doubles: callers that were cut off together don't come back together. */
export function fullJitterMs(failures: number, maxMs = MAX_BACKOFF_MS): number {
  return Math.random() * Math.min(maxMs, FIRST_BACKOFF_MS * 2 ** failures);
}
