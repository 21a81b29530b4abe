/**
 * The mail that is sent while measuring: 1 KB of words each, to a thousand inboxes in turn, with a request_id as every
 * client of ours sends one.
 */
import { randomInt, randomUUID } from "node:crypto";

export const RECIPIENTS = 1000;
export const BODY_BYTES = 1024;
export const BATCH_SIZE = 100;
export const SUBJECT = "Task";

export interface SendRequest {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly body: string;
  readonly requestId: string;
}

/** Different texts and words: a bus that makes its mail searchable has as much to do as with real mail, about. */
const TEXTS = 500;
const WORDS = 5000;

const words = Array.from({ length: WORDS }, () =>
  randomInt(36 ** 2, 36 ** 7)
    .toString(36)
    .slice(randomInt(3)),
);
const bodies = Array.from({ length: TEXTS }, () => {
  return Array.from({ length: BODY_BYTES }, () => words[randomInt(WORDS)])
    .join(" ")
    .slice(0, BODY_BYTES);
});

/** One of the texts; nothing in it is escaped in JSON. */
export function body(number: number): string {
  return bodies[number % TEXTS] as string;
}

export function recipientName(number: number): string {
  return `agent-${number % RECIPIENTS}`;
}

/** Makes the requests of one sender, one after the other; senders begin at different recipients. */
export function sendRequest(from: string, to: (number: number) => string): () => SendRequest {
  const run = randomUUID();
  let count = 0;
  let next = Math.floor(Math.random() * RECIPIENTS);
  return () => ({ from, to: to(next++), subject: SUBJECT, body: body(next), requestId: `${run}-${++count}` });
}
