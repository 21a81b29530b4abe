/**
 * Sends what a command printed as the one reply to its message, however often the command ran. It must not know how the
 * text came about, nor acknowledge anything.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Message } from "#gen/agentbus/v1/message_pb.js";
import type { BusClient } from "../client/bus-client.ts";
import { BusRefusal } from "../client/bus-refusal.ts";
import { passes } from "../client/passing-failure.ts";
import { fullJitterMs } from "../client/retry-calls.ts";
import { localFailure } from "./failure.ts";
import { say } from "./write-output.ts";

/** The work is done: a full inbox or a rate limit is waited for rather than doing it again. The lease is prolonged meanwhile. */
const TRY_FOR_MS = 10 * 60_000;
const MAX_PAUSE_MS = 10_000;
/** Nobody is there, or wants to go on, to be answered: doing the work again would not help. */
const NOBODY: readonly string[] = ["UNKNOWN_AGENT", "TOO_MANY_HOPS"];

export interface Answer {
  /** What it answers. */
  readonly message: Message;
  readonly body: string;
  /** Is done before each try. */
  readonly before: () => Promise<void>;
}

/**
 * Resolves with what became of it, in words. The message's own id names the reply, so that a worker that died between the
 * reply and the ack never answers twice: the bus knows the first one. It repeats by itself, so that `bus` need not. Throws
 * when the signal aborts.
 */
export async function replyOnce(
  bus: BusClient,
  { message, body, before }: Answer,
  signal: AbortSignal,
): Promise<string> {
  const { id, traceparent } = message;
  const reply = { body, requestId: `reply:${id}`, traceparent };
  const end = performance.now() + TRY_FOR_MS;
  for (let failures = 0; ; failures++) {
    await before();
    try {
      const sent = await bus.reply(message, reply, { signal });
      if (sent.status === "queued") return `its reply waits in the outbox: ${sent.reason}`;
      return sent.deduplicated ? `the reply ${sent.id} was sent before` : `replied with ${sent.id}`;
    } catch (error) {
      signal.throwIfAborted();
      const refusal = error instanceof BusRefusal ? error : undefined;
      // Another text came out of an earlier run, and that one is the answer.
      if (refusal?.reason === "REQUEST_ID_REUSED") return "a reply was sent before";
      if (refusal !== undefined && NOBODY.includes(refusal.reason)) return `no reply: ${refusal.message}`;
      const waitMs = (refusal?.retryAfterMs ?? 0) + fullJitterMs(failures, MAX_PAUSE_MS);
      if (!passes(error) || performance.now() + waitMs > end) throw error;
      if (failures === 0) say(`the reply to ${id} waits, and is tried again: ${localFailure(error).message}`);
      await delay(waitMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}
