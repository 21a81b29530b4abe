/**
 * Advice in words that goes with an accepted message. It knows what happened, not how it is sent.
 */
import { ALL } from "./message.ts";
import { nearestNames } from "./nearest-names.ts";
import type { Sent } from "./store.ts";

/** Full inboxes are named, but not all of ten thousand. */
const MAX_INBOXES_NAMED = 20;

/** "": nothing to say. `known` are names that a misspelled recipient may have meant. */
export function noticeOf(recipient: string, sent: Sent, known: readonly string[]): string {
  if (recipient === ALL) return broadcastNotice(sent);
  if (sent.recipientKnown) return "";
  const nearest = nearestNames(recipient, known);
  const advice = nearest.length > 0 ? ` Did you mean ${nearest.join(", ")}?` : "";
  return `nobody registered "${recipient}" yet: the mail waits until that agent pulls.${advice}`;
}

function broadcastNotice({ recipientCount, fullInboxes, deduplicated }: Sent): string {
  if (fullInboxes.length > 0) {
    const named = fullInboxes.slice(0, MAX_INBOXES_NAMED).join(", ");
    const more = fullInboxes.length > MAX_INBOXES_NAMED ? ` and ${fullInboxes.length - MAX_INBOXES_NAMED} more` : "";
    return `did not fit into the full inboxes of ${named}${more}: there it is a dead letter`;
  }
  return recipientCount === 0 && !deduplicated ? "reached nobody: no other agent is registered" : "";
}
