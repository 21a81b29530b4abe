/** Whether a store's outcome is the one that the model expects, and where the promises leave a store some room. */
import type { Agent, Receipt } from "#dist/message.js";
import { type Outcome, type Request, textOf } from "./requests.ts";

/** Throws what differs, in words. `forgotten`: a lease so long over that its record may be gone. */
export function compare(request: Request, actual: Outcome, expected: Outcome, forgotten: boolean): void {
  const [real, model] = [comparable(request, actual), comparable(request, expected)];
  if (textOf(real) === textOf(model)) return;
  if (forgotten && request.verb === "giveBack" && textOf(real) === textOf({ answer: { stale: [] } })) return;
  throw new Error(
    `${request.verb}: the store and the model disagree\n  store: ${textOf(real)}\n  model: ${textOf(model)}`,
  );
}

function comparable({ verb }: Request, outcome: Outcome): Outcome {
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
