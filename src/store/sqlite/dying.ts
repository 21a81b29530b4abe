/**
 * Writes down what is DEAD, and the bounce with it, inside a write transaction. When a delivery is DEAD is
 * delivery-state.ts's rule; what the letter says is bounce.ts's.
 */
import { bounceLetter } from "../../bounce.ts";
import { BUS, type DeadReason } from "../../message.ts";
import { newMessageId } from "../../message-id.ts";
import type { Counts } from "../../store.ts";
import type { AgentNames } from "./agent-names.ts";
import { IS_UNREAD, STATE_COLUMNS, type StateRow, stateOf } from "./delivery-state.ts";
import type { Database } from "./open-database.ts";

interface DyingRow extends StateRow {
  readonly seq: number;
  readonly message: number;
  readonly id: string;
  readonly sender: number;
  readonly sender_name: string;
  /** null: a broadcast. */
  readonly recipient: string | null;
  readonly subject: string;
  readonly at: number;
  readonly traceparent: string | null;
  readonly bounced: number;
}

/** The two ways in which waiting mail dies by itself. Parameters :now and :maxAttempts. */
const DUE = {
  tried: `deliveries d indexed by deliveries_tried where d.state = 1 and d.attempts > 0
    and d.attempts - d.attempts_before >= :maxAttempts and d.lease_until <= :now`,
  expired: `deliveries d indexed by deliveries_expiring where d.state = 1 and d.expire_at is not null
    and d.expire_at <= :now and d.lease_until <= :now`,
};

/** Whether anything is due; reads only, on any connection. */
export class DueReader {
  readonly #any;

  constructor(db: Database) {
    this.#any = db
      .prepare(`select exists (select 1 from ${DUE.tried}) or exists (select 1 from ${DUE.expired})`)
      .pluck();
  }

  any(now: number, maxAttempts: number): boolean {
    return this.#any.get({ now, maxAttempts }) === 1;
  }
}

/** What came of it: how many died, of what, and whose inbox has a bounce now. */
export interface Died {
  readonly count: number;
  readonly reasons: Counts<DeadReason>;
  readonly bounced: readonly string[];
}

export class Dying {
  readonly #agents: AgentNames;
  readonly #maxAttempts: number;
  readonly #due;
  readonly #waiting;
  readonly #die;
  readonly #insertBounce;
  readonly #insertDelivery;
  readonly #markBounced;

  constructor(db: Database, agents: AgentNames, maxAttempts: number) {
    this.#agents = agents;
    this.#maxAttempts = maxAttempts;
    const row = `
      select d.seq, d.message, m.id, m.sender, s.name as sender_name, r.name as recipient, m.subject, m.at, m.traceparent,
        m.bounced, ${STATE_COLUMNS}
      from deliveries d cross join messages m on m.seq = d.message cross join agents s on s.id = m.sender
      left join agents r on r.id = m.recipient`;
    this.#due = db.prepare(`
      ${row} where d.seq in (select d.seq from ${DUE.tried} union select d.seq from ${DUE.expired} limit :limit)`);
    this.#waiting = db.prepare(`${row} where d.inbox = ? and d.state = 1 order by d.seq`);
    this.#die = db.prepare("update deliveries set state = 4, dead_at = ?, dead_reason = ? where seq = ?");
    this.#insertBounce = db.prepare(`
      insert into messages (id, sender, recipient, subject, body, at, in_reply_to, hops, traceparent, bounced)
      values (:id, :sender, :recipient, :subject, :body, :at, :inReplyTo, 0, :traceparent, 1)`);
    this.#insertDelivery = db.prepare("insert into deliveries (message, inbox) values (?, ?)");
    this.#markBounced = db.prepare("update messages set bounced = 1 where seq = ?");
  }

  /** Writes what is due, at most `limit` deliveries. */
  sweep(limit: number, now: number): Died {
    const rows = this.#due.all({ limit, now, maxAttempts: this.#maxAttempts }) as DyingRow[];
    const { reasons, bounced } = this.#buryAll(rows, "EXPIRED", now);
    return { count: rows.length, reasons, bounced };
  }

  /** All that is UNREAD or LEASED in this inbox dies; what was due to be dead already keeps its own reason. */
  empty(inbox: number, now: number): Died {
    const rows = this.#waiting.all(inbox) as DyingRow[];
    const { reasons, bounced } = this.#buryAll(rows, "RECIPIENT_REMOVED", now);
    return { count: reasons.RECIPIENT_REMOVED ?? 0, reasons, bounced };
  }

  /** What was not due by itself dies now, of `otherwise`. */
  #buryAll(rows: readonly DyingRow[], otherwise: DeadReason, now: number): Pick<Died, "reasons" | "bounced"> {
    const reasons: Partial<Record<DeadReason, number>> = {};
    const bounced: string[] = [];
    for (const row of rows) {
      const { deadAt = now, deadReason = otherwise } = stateOf(row, now, this.#maxAttempts);
      reasons[deadReason] = (reasons[deadReason] ?? 0) + 1;
      const name = this.#bury(row, deadReason, deadAt, now);
      if (name !== undefined) bounced.push(name);
    }
    return { reasons, bounced };
  }

  /** Resolves to whom the bounce went; undefined: none. */
  #bury(row: DyingRow, reason: DeadReason, deadAt: number, now: number): string | undefined {
    this.#die.run(deadAt, reason, row.seq);
    // A broadcast never bounces, its receipt counts; neither does a bounce, nor a message twice.
    if (row.recipient === null || row.sender_name === BUS || row.bounced === 1) return undefined;
    const { id, recipient, subject, at: sentAt, attempts, traceparent, sender } = row;
    const letter = bounceLetter({ id, recipient, subject, sentAt, attempts, reason, deadAt });
    const { lastInsertRowid } = this.#insertBounce.run({
      id: newMessageId(now),
      sender: this.#agents.keep(BUS),
      recipient: sender,
      ...letter,
      at: now,
      inReplyTo: id,
      traceparent,
    });
    this.#insertDelivery.run(lastInsertRowid, sender);
    this.#markBounced.run(row.message);
    return row.sender_name;
  }
}

/** Deliveries that are DEAD, written or due. Parameters :now and :maxAttempts. */
export const IS_DUE = `(d.state = 1 and d.lease_until <= :now and not (${IS_UNREAD}))`;
