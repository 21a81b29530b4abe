/**
 * One message whole, and what became of it, on any connection. It changes nothing and asks no clock.
 */
import { MAX_RECEIPT_REPLIES, type MessageView, type Receipt } from "../../message.ts";
import type { ReceiptPage } from "../../store.ts";
import { IS_ALIVE, STATE_COLUMNS, type StateRow, stateOf } from "./delivery-state.ts";
import { cutParameter, MESSAGE_COLUMNS, messageOf } from "./inbox.ts";
import type { Database } from "./open-database.ts";

type ViewRow = Parameters<typeof messageOf>[0] & StateRow & { readonly delivery: number | null };

interface ReceiptRow extends StateRow {
  readonly name: string;
  readonly inbox: number;
  readonly last_seen_at: number | null;
  readonly first_pulled_at: number | null;
  readonly read_at: number | null;
}

interface CountRow {
  readonly recipients: number;
  readonly read: number;
  readonly dead: number;
}

export class MessageReader {
  readonly #maxAttempts: number;
  readonly #view;
  readonly #seq;
  readonly #counts;
  readonly #receipts;
  readonly #replies;

  constructor(db: Database, maxAttempts: number) {
    this.#maxAttempts = maxAttempts;
    this.#view = db.prepare(`
      select d.seq as delivery, coalesce(d.attempts, 0) as attempts, coalesce(d.attempts_before, 0) as attempts_before,
        d.state, d.lease_until, d.dead_at, d.dead_reason, ${MESSAGE_COLUMNS},
        case when d.seq is null then (select max(o.expire_at) from deliveries o where o.message = m.seq)
          else d.expire_at end as expire_at
      from messages m cross join agents s on s.id = m.sender left join agents r on r.id = m.recipient
      cross join agents me on me.name = :agent
      left join deliveries d on d.message = m.seq and d.inbox = me.id
      where m.id = :id and (d.seq is not null or m.sender = me.id)`);
    this.#seq = db.prepare("select seq from messages where id = ?").pluck();
    this.#counts = db.prepare(`
      select count(*) as recipients, coalesce(sum(d.state = 3), 0) as read,
        coalesce(sum(d.state = 4 or (d.state = 1 and not ${IS_ALIVE})), 0) as dead
      from deliveries d where d.message = :seq`);
    this.#receipts = db.prepare(`
      select a.name, a.id as inbox, a.last_seen_at, d.first_pulled_at, d.read_at, ${STATE_COLUMNS}
      from deliveries d cross join agents a on a.id = d.inbox
      where d.message = :seq and a.name > :after order by a.name limit :limit`);
    this.#replies = db
      .prepare("select id from messages where in_reply_to = ? and sender = ? order by seq limit ?")
      .pluck();
  }

  /** undefined: none that this agent sent or received. */
  view(agent: string, id: string, now: number): MessageView | undefined {
    const row = this.#view.get({ agent, id, cut: cutParameter(undefined) }) as ViewRow | undefined;
    if (row === undefined) return undefined;
    const state = row.delivery === null ? undefined : stateOf(row, now, this.#maxAttempts);
    return { ...messageOf(row), state: state?.state, deadReason: state?.deadReason };
  }

  receipt(id: string, limit: number, after: string | undefined, now: number): ReceiptPage | undefined {
    const seq = this.#seq.get(id) as number | undefined;
    if (seq === undefined) return undefined;
    const counts = this.#counts.get({ seq, now, maxAttempts: this.#maxAttempts }) as CountRow;
    const rows = this.#receipts.all({ seq, after: after ?? "", limit: limit + 1 }) as ReceiptRow[];
    const items = rows.slice(0, limit).map((row) => this.#receiptOf(id, row, now));
    return {
      recipientCount: counts.recipients,
      readCount: counts.read,
      deadCount: counts.dead,
      items,
      next: rows.length > limit ? items.at(-1)?.recipient : undefined,
    };
  }

  #receiptOf(id: string, row: ReceiptRow, now: number): Receipt {
    return {
      recipient: row.name,
      ...stateOf(row, now, this.#maxAttempts),
      deliveryAttempt: row.attempts,
      firstPulledAt: row.first_pulled_at ?? undefined,
      readAt: row.read_at ?? undefined,
      replyMessageIds: this.#replies.all(id, row.inbox, MAX_RECEIPT_REPLIES) as string[],
      lastSeenAt: row.last_seen_at ?? undefined,
    };
  }
}
