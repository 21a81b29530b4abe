/**
 * Waits for the message that answers another one, and leaves all other mail alone. It must not know how the question was
 * sent, nor what is done with the answer.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Box } from "#gen/agentbus/v1/message_bus_pb.js";
import type { Message } from "#gen/agentbus/v1/message_pb.js";
import type { MessageBusClient } from "./connect-bus.ts";
import { isBounce } from "./is-bounce.ts";
import { passes } from "./passing-failure.ts";

/** How often it looks while other mail waits in the inbox, because a wait for mail ends at once then. */
const POLL_MS = 500;
/** One wait at an empty inbox: mail ends it, so it costs no time, only a call each. */
const WAIT_SECONDS = 20;
/** Of a call, beyond what it was asked to wait: a bus whose host is gone should not hold it up for long. */
const ANSWER_MS = 5000;

export interface Question {
  /** Who asked. */
  readonly agent: string;
  readonly messageId: string;
}

/**
 * The first answer, whole and in whatever state; or the bounce, if the question died; undefined: neither came in time.
 * Outages are waited through: it fails with one that lasts until the end, and at once with what does not pass. `bus` must
 * fail as that of a BusClient does.
 */
export async function awaitAnswer(
  bus: MessageBusClient,
  question: Question,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Message | undefined> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const began = performance.now();
    const left = end - began;
    try {
      const answer = await findAnswer(bus, question, signal);
      if (answer !== undefined || left <= 0) return answer;
      await waitForMail(bus, question.agent, left, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!passes(error) || left <= 0) throw error;
    }
    const now = performance.now();
    await delay(Math.max(0, Math.min(began + POLL_MS, end) - now), undefined, { signal });
  }
}

/** In the history, so that it is also found when another process of the same agent has read it meanwhile. */
async function findAnswer(
  bus: MessageBusClient,
  { agent, messageId: inReplyTo }: Question,
  signal: AbortSignal,
): Promise<Message | undefined> {
  const call = { signal, timeoutMs: ANSWER_MS };
  const { messages } = await bus.listMessages({ agent, box: Box.INBOX, inReplyTo, maxBodyBytes: 1 }, call);
  const first = messages.findLast((message) => !isBounce(message)) ?? messages.at(-1);
  if (first === undefined) return undefined;
  return (await bus.getMessage({ agent, messageId: first.id }, call)).message;
}

/** A look: it changes nothing, and comes back at once while anything is unread. */
async function waitForMail(bus: MessageBusClient, agent: string, leftMs: number, signal: AbortSignal): Promise<void> {
  const waitSeconds = Math.min(WAIT_SECONDS, Math.floor(leftMs / 1000));
  const call = { signal, timeoutMs: waitSeconds * 1000 + ANSWER_MS };
  await bus.pullInbox({ agent, maxMessages: 1, maxBodyBytes: 1, waitSeconds }, call);
}
