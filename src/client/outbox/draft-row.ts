/** A draft as it lies in the table, from a letter and to what everybody else sees. It knows no statement. */
import { foldName, MAX_REQUEST_BYTES, utf8Bytes } from "../../message.ts";
import {
  type Draft,
  type DraftHead,
  type DraftState,
  MAX_DRAFT_AGE_MS,
  type NamedLetter,
  type Owner,
} from "./draft.ts";
import { OutboxError } from "./outbox-errors.ts";

/** Why a draft is kept. */
export interface Keeping {
  readonly now: number;
  readonly reason: string;
  /** A try of it may have arrived. */
  readonly mayHaveArrived: boolean;
}

export interface Row {
  readonly id: number;
  readonly bus: string;
  readonly sender: string;
  readonly recipient: string;
  readonly request_id: string;
  readonly subject: string;
  readonly body: string;
  readonly in_reply_to: string | null;
  readonly traceparent: string | null;
  readonly include_sender: number;
  readonly kept_at: number;
  /** End of its ttl. */
  readonly deadline_at: number | null;
  /** The earlier of that and of the greatest age. */
  readonly expires_at: number;
  readonly state: DraftState;
  readonly reason: string;
  readonly retry_at: number | null;
  readonly may_have_arrived: number;
}

/** What a new one has not yet: its id, its state, and a time to be tried again. */
export type NewRow = Omit<Row, "id" | "state" | "retry_at">;

export function newRow(owner: Owner, letter: NamedLetter, { now, reason, mayHaveArrived }: Keeping): NewRow {
  const deadline = letter.ttlSeconds === undefined ? null : now + letter.ttlSeconds * 1000;
  return {
    ...owner,
    recipient: foldName(letter.recipient),
    request_id: letter.requestId,
    subject: letter.subject,
    body: letter.body,
    in_reply_to: letter.inReplyTo ?? null,
    traceparent: letter.traceparent ?? null,
    include_sender: letter.includeSender ? 1 : 0,
    kept_at: now,
    deadline_at: deadline,
    expires_at: Math.min(deadline ?? Number.POSITIVE_INFINITY, now + MAX_DRAFT_AGE_MS),
    reason,
    may_have_arrived: mayHaveArrived ? 1 : 0,
  };
}

/** What a bus compares when a request_id comes again; never ttl or traceparent. */
export function sameContent(a: NewRow, b: NewRow): boolean {
  const content = ["recipient", "subject", "body", "in_reply_to", "include_sender"] as const;
  return content.every((column) => a[column] === b[column]);
}

export function draftOf(row: Row): Draft {
  return { ...headOf(row), body: row.body };
}

/** Columns of a draft without its body: a thousand of those may be large. */
export const HEAD = `id, bus, sender, recipient, request_id, subject, in_reply_to, traceparent, include_sender, kept_at, deadline_at,
  state, reason, retry_at, may_have_arrived`;

export function headOf(row: Omit<Row, "body" | "expires_at">): DraftHead {
  return {
    id: row.id,
    bus: row.bus,
    sender: row.sender,
    recipient: row.recipient,
    requestId: row.request_id,
    subject: row.subject,
    inReplyTo: row.in_reply_to ?? undefined,
    traceparent: row.traceparent ?? undefined,
    includeSender: row.include_sender === 1,
    keptAt: row.kept_at,
    deadlineAt: row.deadline_at ?? undefined,
    state: row.state,
    reason: row.reason,
    retryAt: row.state === "parked" ? (row.retry_at ?? undefined) : undefined,
    mayHaveArrived: row.may_have_arrived === 1,
  };
}

/** What no bus would take, however long it is tried, or what the file could not give back as it was. */
export function assertSendable(letter: NamedLetter): void {
  const { sender, recipient, subject, body, inReplyTo = "", requestId, traceparent = "" } = letter;
  const texts = { from: sender, to: recipient, subject, body, inReplyTo, requestId, traceparent };
  let bytes = 0;
  for (const [field, text] of Object.entries(texts)) {
    if (!text.isWellFormed()) throw new OutboxError(`${field} has a lone surrogate, which no bus takes`);
    bytes += utf8Bytes(text);
  }
  if (bytes > MAX_REQUEST_BYTES) {
    throw new OutboxError(`it has ${bytes} bytes, more than any bus takes in one request (${MAX_REQUEST_BYTES})`);
  }
}
