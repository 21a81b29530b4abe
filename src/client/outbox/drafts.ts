/**
 * The drafts of this host in one SQLite file, which several processes share: every verb is one transaction, on disk when
 * it returns. It must not know a bus, nor what an answer means. Loads better-sqlite3.
 */
import { foldName } from "../../message.ts";
import {
  type Draft,
  type DraftHead,
  MAX_DRAFT_AGE_MS,
  MAX_DRAFTS,
  MAX_INTERNAL_ERRORS,
  type NamedLetter,
  type Owner,
  PARKED_MS,
} from "./draft.ts";
import {
  assertSendable,
  draftOf,
  HEAD,
  headOf,
  type Keeping,
  type NewRow,
  newRow,
  type Row,
  sameContent,
} from "./draft-row.ts";
import type { Database } from "./open-outbox.ts";
import { OutboxError, OutboxFullError, requestIdReused } from "./outbox-errors.ts";
import { SharedFile } from "./shared-file.ts";

export interface Kept {
  readonly id: number;
  /** False: it was kept before, under the same request_id. */
  readonly isNew: boolean;
  /** Drafts of that owner that are to be sent, with this one. */
  readonly waiting: number;
}

const IN_TURN = "bus = @bus and sender = @sender and state in ('waiting', 'parked')";

export class Drafts {
  readonly #file: SharedFile;

  /** `busyMs`: how long to wait for other processes. */
  constructor(file: string, busyMs?: number) {
    this.#file = new SharedFile(file, busyMs);
  }

  /** On disk when it returns. The same request_id again is the same draft; with another content it is refused. */
  keep(owner: Owner, letter: NamedLetter, keeping: Keeping): Kept {
    assertSendable(letter);
    const row = newRow(owner, letter, keeping);
    return this.#file.write((db) => {
      const kept = this.#keptBefore(db, row);
      if (kept !== undefined) {
        // Whoever repeats one that had come to its end wants it sent after all.
        if (kept.state === "set aside" || kept.state === "expired") this.#revive(db, kept, keeping.now);
        if (keeping.mayHaveArrived) db.prepare("update drafts set may_have_arrived = 1 where id = ?").run(kept.id);
        return { id: kept.id, isNew: false, waiting: this.#count(db, owner) };
      }
      const all = db.prepare("select count(*) from drafts where sender = ?").pluck().get(owner.sender) as number;
      if (all >= MAX_DRAFTS) {
        throw new OutboxFullError(
          `the outbox holds ${all} drafts of ${owner.sender}, the most it takes; "agentbus outbox" lists them, "agentbus outbox flush" sends them, "agentbus outbox drop ID" gives one up`,
        );
      }
      const { lastInsertRowid } = db
        .prepare(
          `insert into drafts (bus, sender, recipient, request_id, subject, body, in_reply_to, traceparent, include_sender,
             kept_at, deadline_at, expires_at, state, reason, retry_at, may_have_arrived)
           select @bus, @sender, @recipient, @request_id, @subject, @body, @in_reply_to, @traceparent, @include_sender,
             @kept_at, @deadline_at, @expires_at, iif(parked_until is null, 'waiting', 'parked'), @reason, parked_until,
             @may_have_arrived
           from (select max(retry_at) parked_until from drafts where ${IN_TURN} and state = 'parked' and recipient = @recipient)`,
        )
        .run(row);
      return { id: Number(lastInsertRowid), isNew: true, waiting: this.#count(db, owner) };
    });
  }

  /** True if a Send to this recipient would overtake a draft. */
  anyBefore(owner: Owner, recipient: string, now: number): boolean {
    return this.#file.read((db) => {
      const found = db
        .prepare(
          `select 1 from drafts where ${IN_TURN} and expires_at > @now and (state = 'waiting' or recipient = @recipient) limit 1`,
        )
        .get({ ...owner, recipient: foldName(recipient), now });
      return found !== undefined;
    });
  }

  /** How many of that owner are to be sent. */
  waiting(owner: Owner): number {
    return this.#file.read((db) => this.#count(db, owner));
  }

  /** The one whose turn it is. */
  next(owner: Owner, now: number): Draft | undefined {
    return this.#file.read((db) => {
      const row = db
        .prepare(
          // A time further off than any that is set: the clock was set back, which must not hold mail.
          `select * from drafts where ${IN_TURN} and expires_at > @now
             and (state = 'waiting' or retry_at not between @now + 1 and @now + ${PARKED_MS}) order by id limit 1`,
        )
        .get({ ...owner, now }) as Row | undefined;
      return row && draftOf(row);
    });
  }

  /** When the first of the parked ones is tried again; undefined: none is parked. */
  nextRetryAt(owner: Owner): number | undefined {
    return this.#file.read((db) => {
      const at = db
        .prepare(`select min(retry_at) from drafts where ${IN_TURN} and state = 'parked'`)
        .pluck()
        .get(owner);
      return (at as number | null) ?? undefined;
    });
  }

  /** The bus answered that it has it: the draft has done its work. */
  sent(id: number): void {
    this.#file.write((db) => db.prepare("delete from drafts where id = ?").run(id));
  }

  /** Its recipient's inbox is full: none of that owner's drafts to it is tried before `retryAt`. */
  park({ id, bus, sender, recipient }: Draft, retryAt: number, reason: string): void {
    this.#file.write((db) => {
      // Another process may have sent it meanwhile: then the inbox is not full any more.
      if (db.prepare("select 1 from drafts where id = ?").get(id) === undefined) return;
      db.prepare(
        `update drafts set state = 'parked', retry_at = @retryAt, reason = @reason where ${IN_TURN} and recipient = @recipient`,
      ).run({ bus, sender, recipient, retryAt, reason });
    });
  }

  /** Refused for good. False: another process has sent it meanwhile, or somebody dropped it. */
  setAside(id: number, reason: string): boolean {
    return this.#file.write((db) => {
      const update =
        "update drafts set state = 'set aside', reason = ? where id = ? and state in ('waiting', 'parked')";
      return db.prepare(update).run(reason, id).changes > 0;
    });
  }

  /** A try that the bus could not make sense of. True: it was one too many, and the draft is set aside. */
  failedInside(id: number, reason: string): boolean {
    return this.#file.write((db) => {
      const state = db
        .prepare(
          `update drafts set internal_errors = internal_errors + 1, reason = @reason,
             state = iif(internal_errors + 1 >= ${MAX_INTERNAL_ERRORS}, 'set aside', state)
           where id = @id and state in ('waiting', 'parked') returning state`,
        )
        .pluck()
        .get({ id, reason });
      return state === "set aside";
    });
  }

  /** A try that was not answered with a yes or no: it stays where it is. */
  tried(id: number, reason: string, mayHaveArrived: boolean): void {
    this.#file.write((db) =>
      db
        .prepare("update drafts set reason = ?, may_have_arrived = max(may_have_arrived, ?) where id = ?")
        .run(reason, mayHaveArrived ? 1 : 0, id),
    );
  }

  /** Moves what is too late to EXPIRED; the number of these. Absent owner: everybody's. */
  expire(now: number, owner?: Owner): number {
    const late = "state in ('waiting', 'parked') and expires_at <= @now";
    const of = owner === undefined ? late : `bus = @bus and sender = @sender and ${late}`;
    // Mostly there is none: no lock for that.
    if (
      this.#file.read((db) => db.prepare(`select 1 from drafts where ${of} limit 1`).get({ ...owner, now })) ===
      undefined
    ) {
      return 0;
    }
    return this.#file.write(
      (db) =>
        db
          .prepare(
            `update drafts set state = 'expired', reason =
               iif(deadline_at <= @now, 'EXPIRED: its ttl was over before the bus could take it',
                 'EXPIRED: kept for ${MAX_DRAFT_AGE_MS / 86_400_000} days without an answer of the bus')
               || iif(may_have_arrived, '; a try may have arrived all the same', '') || '; last: ' || reason
             where ${of}`,
          )
          .run({ ...owner, now }).changes,
    );
  }

  /** Oldest first. Absent sender: everybody's. */
  list(sender?: string): DraftHead[] {
    return this.#file.read((db) => {
      const rows = db.prepare(`select ${HEAD} from drafts where sender = ifnull(?, sender) order by id`);
      return (rows.all(sender ?? null) as Row[]).map(headOf);
    });
  }

  get(id: number): Draft | undefined {
    return this.#file.read((db) => {
      const row = db.prepare("select * from drafts where id = ?").get(id) as Row | undefined;
      return row && draftOf(row);
    });
  }

  /** Given up by a person. False: there is no such draft. */
  drop(id: number): boolean {
    return this.#file.write((db) => db.prepare("delete from drafts where id = ?").run(id).changes > 0);
  }

  /**
   * Wanted by a person after all: back to its old place, without its ttl if that was over. Throws if it is too old.
   * undefined: there is no such draft.
   */
  retry(id: number, now: number): Draft | undefined {
    return this.#file.write((db) => {
      const row = db.prepare("select * from drafts where id = ?").get(id) as Row | undefined;
      if (row === undefined) return undefined;
      this.#revive(db, row, now);
      return draftOf(db.prepare("select * from drafts where id = ?").get(id) as Row);
    });
  }

  close(): void {
    this.#file.close();
  }

  #keptBefore(db: Database, row: NewRow): Row | undefined {
    const kept = db
      .prepare("select * from drafts where bus = ? and sender = ? and request_id = ?")
      .get(row.bus, row.sender, row.request_id) as Row | undefined;
    if (kept !== undefined && !sameContent(kept, row)) throw requestIdReused(row.request_id, kept.id);
    return kept;
  }

  #revive(db: Database, row: Row, now: number): void {
    const expiresAt = row.kept_at + MAX_DRAFT_AGE_MS;
    if (expiresAt <= now) {
      throw new OutboxError(
        `draft ${row.id} was kept more than ${MAX_DRAFT_AGE_MS / 86_400_000} days ago, and the bus may not know its request_id any more: send its text anew, then drop it`,
      );
    }
    const { id, bus, sender, recipient } = row;
    if (row.state === "parked") {
      // All to that recipient, or it would overtake the older ones.
      db.prepare(
        `update drafts set retry_at = @now where ${IN_TURN} and state = 'parked' and recipient = @recipient`,
      ).run({
        bus,
        sender,
        recipient,
        now,
      });
    } else {
      db.prepare(
        `update drafts set state = 'waiting', internal_errors = 0, reason = 'to be tried again; ' || reason,
           deadline_at = iif(deadline_at <= @now, null, deadline_at),
           expires_at = iif(deadline_at > @now, min(deadline_at, @expiresAt), @expiresAt)
         where id = @id and state <> 'waiting'`,
      ).run({ id, now, expiresAt });
    }
  }

  #count(db: Database, owner: Owner): number {
    return db.prepare(`select count(*) from drafts where ${IN_TURN}`).pluck().get(owner) as number;
  }
}
