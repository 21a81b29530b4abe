/**
 * Adds up what a transaction did from what its writes came to: only of a committed one are there outcomes, so nothing
 * that was rolled back is counted. It knows verbs, no SQL.
 */
import type { Reason } from "../../errors.ts";
import type { DeadReason } from "../../message.ts";
import type { Commit, Sent } from "../../store.ts";
import type { Died } from "./dying.ts";
import type { HandedOut } from "./leasing.ts";
import type { Outcome, Write } from "./writes.ts";

type Facts = Omit<Commit, "milliseconds">;
type Tally<K extends string> = Partial<Record<K, number>>;

export function factsOf(writes: readonly Write[], outcomes: readonly Outcome[]): Facts {
  const refused: Tally<Reason> = {};
  const died: Tally<DeadReason> = {};
  let [stored, repeated, redelivered, bounced] = [0, 0, 0, 0];
  for (const [i, { verb }] of writes.entries()) {
    const outcome = outcomes[i];
    if (outcome === undefined || !("done" in outcome)) continue;
    if (verb === "send") {
      for (const item of outcome.done as readonly Outcome<Sent>[]) {
        if ("refusal" in item) add(refused, item.refusal.reason, 1);
        if (!("done" in item)) continue;
        if (item.done.deduplicated) repeated++;
        else stored++;
        if (item.done.fullInboxes.length > 0) add(died, "INBOX_FULL", item.done.fullInboxes.length);
      }
    } else if (verb === "pull") redelivered += (outcome.done as HandedOut).redelivered;
    else if (verb === "sweep" || verb === "removeAgent") {
      const { reasons, bounced: letters } = outcome.done as Died;
      for (const [reason, count] of Object.entries(reasons)) add(died, reason as DeadReason, count);
      bounced += letters.length;
    }
  }
  return { writes: writes.length, stored, repeated, refused, redelivered, died, bounced };
}

function add<K extends string>(tally: Tally<K>, key: K, count: number): void {
  tally[key] = (tally[key] ?? 0) + count;
}
