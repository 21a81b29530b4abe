/** Whether a store's outcome is the one that the model expects, and where the promises leave a store some room. */
import type { Agent, Receipt } from "#dist/message.js";
import { type Outcome, type Request, textOf } from "./requests.ts";

export interface Room {
  /** Others were under way: when a lease ends may be read before they are written. */
  readonly atOnce?: boolean;
}

/** Throws what differs, in words. */
export function compare(request: Request, actual: Outcome, expected: Outcome, { atOnce }: Room = {}): void {
  const [real, model] = [actual, expected].map((outcome) => comparable(request, outcome, atOnce));
  if (textOf(real) === textOf(model)) return;
  throw new Error(
    `${request.verb}: the store and the model disagree\n  store: ${textOf(real)}\n  model: ${textOf(model)}`,
  );
}

function comparable({ verb }: Request, outcome: Outcome, atOnce = false): Outcome {
  if (!("answer" in outcome) || outcome.answer === undefined) return outcome;
  const answer = outcome.answer as Record<string, unknown>;
  switch (verb) {
    // Whether there is more to do is the store's own business.
    case "sweep":
    case "index":
    case "retain":
      return { answer: undefined };
    case "extendLease":
    case "giveBack":
      return { answer: { ...answer, stale: [...(answer["stale"] as string[])].sort() } };
    case "pull":
      return { answer: { ...answer, ...(atOnce && { dueAt: undefined }) } };
    // When somebody was last seen may lag.
    case "registerAgent":
      return { answer: { ...answer, lastSeenAt: undefined } };
    case "listAgents":
      return { answer: { ...answer, items: withoutSeen(answer["items"] as Agent[]) } };
    case "getReceipt":
      return { answer: { ...answer, items: withoutSeen(answer["items"] as Receipt[]) } };
    // The key is the store's own, and the last page may say that there is another.
    case "listMessages":
      return { answer: { ...answer, next: undefined } };
    default:
      return outcome;
  }
}

function withoutSeen(items: readonly (Agent | Receipt)[]): unknown[] {
  return items.map((item) => ({ ...item, lastSeenAt: undefined }));
}
