/** Hands the mail of one inbox to a function, several messages at once if asked. It must not know how mail is leased. */
import type { Message } from "#gen/agentbus/v1/message_pb.js";
import { type InboxOptions, type InboxReader, requireWhole } from "./inbox-reader.ts";
import type { LeasedDelivery } from "./leased-delivery.ts";

export const MAX_CONCURRENCY = 1000;

export interface WorkOptions extends InboxOptions {
  /** How many messages are worked on at once, 1-1,000: 1. */
  readonly concurrency?: number | undefined;
}

export interface Job {
  /** Aborts with a LeaseLostError when another worker may have the message. It does not abort when the work is stopped. */
  readonly signal: AbortSignal;
}

/** Resolve: done, it never comes again. Reject: it comes again later, with a higher attempt. */
export type Handler = (message: Message, job: Job) => unknown;

export interface WorkSummary {
  /** Messages whose handler resolved, and that are acknowledged. */
  readonly done: number;
  /** Times that a handler rejected. */
  readonly failed: number;
  /** Times that the lease was lost and another worker has the message. */
  readonly lost: number;
}

/** Resolves when it was stopped, or (once) nothing is left, and every handler has ended. Throws what does not pass. */
export async function workOn(
  reader: InboxReader,
  handler: Handler,
  { concurrency = 1 }: WorkOptions,
): Promise<WorkSummary> {
  requireWhole("concurrency", concurrency, 1, MAX_CONCURRENCY);
  const summary = { done: 0, failed: 0, lost: 0 };
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  // No race of all that runs: each would leave something behind in a job that takes for ever.
  let oneEnded = Promise.withResolvers<void>();
  try {
    for (;;) {
      // Nothing is leased that nobody works on.
      while (running.size >= concurrency) {
        oneEnded = Promise.withResolvers();
        await oneEnded.promise;
      }
      const delivery = await reader.next();
      if (delivery === undefined) break;
      const job = work(delivery)
        .catch((error) => {
          failures.push(error);
          reader.stop();
        })
        .finally(() => {
          running.delete(job);
          oneEnded.resolve();
        });
      running.add(job);
    }
  } finally {
    await Promise.all(running);
  }
  if (failures.length > 0) throw failures[0];
  return summary;

  async function work(delivery: LeasedDelivery): Promise<void> {
    const { message, lost } = delivery;
    try {
      await handler(message, { signal: lost });
    } catch (error) {
      const seconds = reader.backoffSeconds(message);
      const comesAgain = lost.aborted ? {} : { retryInMs: seconds * 1000 };
      summary[lost.aborted ? "lost" : "failed"]++;
      if (error !== lost.reason || !lost.aborted) {
        const failure = error instanceof Error ? error : new Error(String(error));
        reader.report(failure, { during: "handler", message, ...comesAgain, failures: message.deliveryAttempt ?? 1 });
      }
      return delivery.comeAgainIn(seconds);
    }
    summary[(await reader.finish(delivery)) ? "done" : "lost"]++;
  }
}
