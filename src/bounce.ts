/**
 * The letter that a sender gets when a message of theirs died. It knows what to say, not when or where to.
 */
import { type DeadReason, MAX_SUBJECT_BYTES, textOfCut } from "./message.ts";

/** What died, for the letter about it. */
export interface Undelivered {
  readonly id: string;
  readonly recipient: string;
  readonly subject: string;
  readonly sentAt: number;
  readonly attempts: number;
  readonly reason: DeadReason;
  readonly deadAt: number;
}

const REASONS: Readonly<Record<DeadReason, string>> = {
  ATTEMPTS_EXHAUSTED: "was handed out as often as allowed and never acknowledged",
  EXPIRED: "was not read before its ttl ran out",
  RECIPIENT_REMOVED: "was still unread when that agent was removed",
  INBOX_FULL: "found that inbox full",
};

/** A text for people and language models, with lines of `key: value` for programs. */
export function bounceLetter(dead: Undelivered): { subject: string; body: string } {
  return {
    subject: cut(`Undelivered: ${dead.subject}`, MAX_SUBJECT_BYTES),
    body: [
      `Your message to ${dead.recipient} ${REASONS[dead.reason]}. It is kept as a dead letter in that inbox;`,
      "RedriveDeadLetters for that agent delivers it again. Do not answer this letter: nobody reads it.",
      "",
      `reason: ${dead.reason}`,
      `message: ${dead.id}`,
      `to: ${dead.recipient}`,
      `sent: ${new Date(dead.sentAt).toISOString()}`,
      `died: ${new Date(dead.deadAt).toISOString()}`,
      `attempts: ${dead.attempts}`,
    ].join("\n"),
  };
}

function cut(text: string, maxBytes: number): string {
  return textOfCut(Buffer.from(text, "utf8").subarray(0, maxBytes));
}
