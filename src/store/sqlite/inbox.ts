/**
 * Reads the mail of one inbox, on any connection: what can be handed out now, and what a lease still holds. It changes
 * nothing and asks no clock.
 */
import { ALL, type Message, textOfCut, utf8Bytes } from "../../message.ts";
import { IS_UNREAD } from "./delivery-state.ts";
import type { Database } from "./open-database.ts";

interface MessageRow {
  readonly delivery: number;
  readonly attempts: number;
  readonly id: string;
  readonly sender: string;
  readonly recipient: string | null;
  readonly subject: string;
  /** Bytes where it was cut. */
  readonly body: string | Uint8Array;
  readonly subject_bytes: number;
  readonly body_bytes: number;
  readonly at: number;
  readonly in_reply_to: string | null;
  readonly hops: number;
  readonly expire_at: number | null;
  readonly traceparent: string | null;
}

/** No cut: longer than any body. */
const WHOLE = 2 ** 31 - 1;

/** Parameter :cut, in bytes. octet_length and substr of a blob never load what is not handed out into this process. */
export const MESSAGE_COLUMNS = `
  m.id, s.name as sender, r.name as recipient, m.subject,
  case when octet_length(m.body) > :cut then substr(cast(m.body as blob), 1, :cut) else m.body end as body,
  octet_length(m.subject) as subject_bytes, octet_length(m.body) as body_bytes,
  m.at, m.in_reply_to, m.hops, m.traceparent`;

/** The order of these joins is the plan: deliveries first, by their index. */
export const JOIN_MESSAGE = `
  cross join messages m on m.seq = d.message
  cross join agents s on s.id = m.sender
  left join agents r on r.id = m.recipient`;

export function cutParameter(maxBodyBytes: number | undefined): number {
  return maxBodyBytes ?? WHOLE;
}

/** As written in messages, with what the delivery adds. */
export function messageOf(row: Omit<MessageRow, "delivery">): Message {
  const cut = typeof row.body !== "string";
  return {
    id: row.id,
    sender: row.sender,
    recipient: row.recipient ?? ALL,
    subject: row.subject,
    body: typeof row.body === "string" ? row.body : textOfCut(row.body),
    timestamp: row.at,
    inReplyTo: row.in_reply_to ?? undefined,
    hops: row.hops,
    expireAt: row.expire_at ?? undefined,
    bodySize: cut ? row.body_bytes : undefined,
    traceparent: row.traceparent ?? undefined,
    deliveryAttempt: row.attempts,
  };
}

/** One message found in an inbox, with the number of its delivery. */
export interface Found {
  readonly delivery: number;
  readonly message: Message;
}

export interface Window {
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly maxBodyBytes: number | undefined;
}

export class InboxReader {
  readonly #unread;
  readonly #anyUnread;
  readonly #due;
  readonly #held;

  constructor(db: Database) {
    const waiting = "from deliveries d indexed by deliveries_waiting";
    this.#unread = db.prepare(`
      select d.seq as delivery, d.attempts, d.expire_at, ${MESSAGE_COLUMNS} ${waiting} ${JOIN_MESSAGE}
      where d.inbox = :inbox and d.state = 1 and ${IS_UNREAD} order by d.seq limit :limit`);
    this.#anyUnread = db
      .prepare(`select 1 ${waiting} where d.inbox = :inbox and d.state = 1 and ${IS_UNREAD} limit 1`)
      .pluck();
    this.#due = db
      .prepare(`select min(d.lease_until) ${waiting} where d.inbox = :inbox and d.state = 1 and d.lease_until > :now`)
      .pluck();
    this.#held = db.prepare(`
      select d.seq as delivery, d.attempts, d.expire_at, ${MESSAGE_COLUMNS}
      from json_each(:deliveries) j cross join deliveries d on d.seq = j.value ${JOIN_MESSAGE}
      where d.lease = :lease and ((d.state = 1 and d.lease_until > :now) or (d.state = 3 and :readToo)) order by d.seq`);
  }

  anyUnread(inbox: number, now: number, maxAttempts: number): boolean {
    return this.#anyUnread.get({ inbox, now, maxAttempts }) !== undefined;
  }

  /** When the first of what is leased now may come back; undefined: nothing is leased. */
  dueAt(inbox: number, now: number): number | undefined {
    return (this.#due.get({ inbox, now }) as number | null) ?? undefined;
  }

  /** Unread mail in the inbox's order, as much as the window takes. */
  unread(inbox: number, now: number, maxAttempts: number, window: Window): { found: Found[]; hasMore: boolean } {
    const rows = this.#unread.iterate({
      inbox,
      now,
      maxAttempts,
      cut: cutParameter(window.maxBodyBytes),
      limit: window.maxMessages + 1,
    }) as IterableIterator<MessageRow>;
    const found: Found[] = [];
    let bytes = 0;
    for (const row of rows) {
      const message = messageOf(row);
      bytes += row.subject_bytes + (message.bodySize === undefined ? row.body_bytes : utf8Bytes(message.body));
      const full = found.length === window.maxMessages || (found.length > 0 && bytes > window.maxBytes);
      if (full) return { found, hasMore: true };
      found.push({ delivery: row.delivery, message });
    }
    return { found, hasMore: false };
  }

  /** What is left of a list of deliveries in the hands of this lease; `readToo`: also what it marked READ. */
  heldBy(
    lease: string,
    deliveries: string,
    now: number,
    { readToo, maxBodyBytes }: { readToo: boolean; maxBodyBytes: number | undefined },
  ): Found[] {
    const rows = this.#held.iterate({
      lease,
      deliveries,
      now,
      readToo: readToo ? 1 : 0,
      cut: cutParameter(maxBodyBytes),
    }) as IterableIterator<MessageRow>;
    return Array.from(rows, (row) => ({ delivery: row.delivery, message: messageOf(row) }));
  }
}
