/**
 * The mail that is sent while measuring: 1 KB each, to a thousand inboxes in turn, with a request_id as every client of
 * ours sends one.
 */
import { randomBytes, randomUUID } from "node:crypto";

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

/** Not compressible, and nothing that JSON would escape. */
export const BODY = randomBytes(BODY_BYTES).toString("base64url").slice(0, BODY_BYTES);

export function recipientName(number: number): string {
  return `agent-${number % RECIPIENTS}`;
}

/** Makes the requests of one sender, one after the other; senders begin at different recipients. */
export function sendRequest(from: string, to: (number: number) => string): () => SendRequest {
  const run = randomUUID();
  let count = 0;
  let next = Math.floor(Math.random() * RECIPIENTS);
  return () => ({ from, to: to(next++), subject: SUBJECT, body: BODY, requestId: `${run}-${++count}` });
}
