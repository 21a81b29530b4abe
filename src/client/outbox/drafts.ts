/**
 * The drafts of this host in one SQLite file, which several processes share: every verb is one transaction, on disk when
 * it returns. It must not know a bus, nor what an answer means. Loads better-sqlite3.
 */
import { existsSync, statSync } from "node:fs";
import { foldName, MAX_REQUEST_BYTES, utf8Bytes } from "../../message.ts";
import {
  type Draft,
  type DraftState,
  MAX_DRAFT_AGE_MS,
  MAX_DRAFTS,
  MAX_INTERNAL_ERRORS,
  type NamedLetter,
  type Owner,
} from "./draft.ts";
import { type Database, openOutbox } from "./open-outbox.ts";
import { OutboxError, requestIdReused } from "./outbox-errors.ts";
import { createPrivately } from "./outbox-file.ts";

interface Row {
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
  readonly deadline_at: number | null;
  readonly state: DraftState;
  readonly reason: string;
  readonly retry_at: number | null;
  readonly may_have_arrived: number;
}

/** Why a draft is kept. */
export interface Keeping {
  readonly now: number;
  readonly reason: string;
  /** A try of it may have arrived. */
  readonly mayHaveArrived: boolean;
}

export interface Kept {
  readonly id: number;
  /** False: it was kept before, under the same request_id. */
  readonly isNew: boolean;
  /** Drafts of that owner that are to be sent, with this one. */
  readonly waiting: number;
}

const IN_TURN = "bus = @bus and sender = @sender and state in ('waiting', 'parked')";

export class Drafts {
  readonly #file: string;
  #db: Database | undefined;
  /** Device and inode of the file that is open. */
  #identity = "";

  constructor(file: string) {
    this.#file = file;
  }

  /** On disk when it returns. The same request_id again is the same draft; with another content it is refused. */
  keep(owner: Owner, letter: NamedLetter, { now, reason, mayHaveArrived }: Keeping): Kept {
    assertSendable(letter);
    const recipient = foldName(letter.recipient);
    const deadlineAt = letter.ttlSeconds === undefined ? null : now + letter.ttlSeconds * 1000;
    const row = {
      ...owner,
      recipient,
      requestId: letter.requestId,
      subject: letter.subject,
      body: letter.body,
      inReplyTo: letter.inReplyTo ?? null,
      traceparent: letter.traceparent ?? null,
      includeSender: letter.includeSender ? 1 : 0,
      now,
      deadlineAt,
      expiresAt: Math.min(deadlineAt ?? Number.MAX_SAFE_INTEGER, now + MAX_DRAFT_AGE_MS),
      reason,
      mayHaveArrived: mayHaveArrived ? 1 : 0,
    };
    return this.#write((db) => {
      const kept = this.#keptBefore(db, owner, letter, recipient);
      if (kept !== undefined) {
        // Whoever repeats one that had come to its end wants it sent after all.
        if (kept.state === "set aside" || kept.state === "expired") this.#revive(db, kept, now);
        return { id: kept.id, isNew: false, waiting: this.#count(db, owner) };
      }
      const all = db.prepare("select count(*) from drafts where sender = ?").pluck().get(owner.sender) as number;
      if (all >= MAX_DRAFTS) {
        throw new OutboxError(
          `the outbox holds ${all} drafts of ${owner.sender}, the most it takes; "agentbus outbox" lists them, "agentbus outbox flush" sends them, "agentbus outbox drop ID" gives one up`,
        );
      }
      const { lastInsertRowid } = db
        .prepare(
          `insert into drafts (bus, sender, recipient, request_id, subject, body, in_reply_to, traceparent, include_sender,
             kept_at, deadline_at, expires_at, state, reason, retry_at, may_have_arrived)
           select @bus, @sender, @recipient, @requestId, @subject, @body, @inReplyTo, @traceparent, @includeSender,
             @now, @deadlineAt, @expiresAt, iif(parked_until is null, 'waiting', 'parked'), @reason, parked_until, @mayHaveArrived
           from (select max(retry_at) parked_until from drafts where ${IN_TURN} and state = 'parked' and recipient = @recipient)`,
        )
        .run(row);
      return { id: Number(lastInsertRowid), isNew: true, waiting: this.#count(db, owner) };
    });
  }

  /** True if a Send to this recipient would overtake a draft. */
  anyBefore(owner: Owner, recipient: string, now: number): boolean {
    return this.#read((db) => {
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
    return this.#read((db) => this.#count(db, owner));
  }

  /** The one whose turn it is. */
  next(owner: Owner, now: number): Draft | undefined {
    return this.#read((db) => {
      const row = db
        .prepare(
          `select * from drafts where ${IN_TURN} and expires_at > @now and (state = 'waiting' or retry_at <= @now) order by id limit 1`,
        )
        .get({ ...owner, now }) as Row | undefined;
      return row && draftOf(row);
    });
  }

  /** When the first of the parked ones is tried again; undefined: none is parked. */
  nextRetryAt(owner: Owner): number | undefined {
    return this.#read((db) => {
      const at = db
        .prepare(`select min(retry_at) from drafts where ${IN_TURN} and state = 'parked'`)
        .pluck()
        .get(owner);
      return (at as number | null) ?? undefined;
    });
  }

  /** The bus answered that it has it: the draft has done its work. */
  sent(id: number): void {
    this.#write((db) => db.prepare("delete from drafts where id = ?").run(id));
  }

  /** Its recipient's inbox is full: none of that owner's drafts to it is tried before `retryAt`. */
  park({ id, bus, sender, recipient }: Draft, retryAt: number, reason: string): void {
    this.#write((db) => {
      // Another process may have sent it meanwhile: then the inbox is not full any more.
      if (db.prepare("select 1 from drafts where id = ?").get(id) === undefined) return;
      db.prepare(
        `update drafts set state = 'parked', retry_at = @retryAt, reason = @reason where ${IN_TURN} and recipient = @recipient`,
      ).run({ bus, sender, recipient, retryAt, reason });
    });
  }

  /** Refused for good. */
  setAside(id: number, reason: string): void {
    this.#write((db) =>
      db
        .prepare("update drafts set state = 'set aside', reason = ? where id = ? and state in ('waiting', 'parked')")
        .run(reason, id),
    );
  }

  /** A try that the bus could not make sense of. True: it was one too many, and the draft is set aside. */
  failedInside(id: number, reason: string): boolean {
    return this.#write((db) => {
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
    this.#write((db) =>
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
      this.#read((db) => db.prepare(`select 1 from drafts where ${of} limit 1`).get({ ...owner, now })) === undefined
    ) {
      return 0;
    }
    return this.#write(
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
  list(sender?: string): Draft[] {
    return this.#read((db) => {
      const rows = db.prepare("select * from drafts where sender = ifnull(?, sender) order by id").all(sender ?? null);
      return (rows as Row[]).map(draftOf);
    });
  }

  get(id: number): Draft | undefined {
    return this.#read((db) => {
      const row = db.prepare("select * from drafts where id = ?").get(id) as Row | undefined;
      return row && draftOf(row);
    });
  }

  /** Given up by a person. False: there is no such draft. */
  drop(id: number): boolean {
    return this.#write((db) => db.prepare("delete from drafts where id = ?").run(id).changes > 0);
  }

  /**
   * Wanted by a person after all: back to its old place, without its ttl if that was over. Throws if it is too old.
   * undefined: there is no such draft.
   */
  retry(id: number, now: number): Draft | undefined {
    return this.#write((db) => {
      const row = db.prepare("select * from drafts where id = ?").get(id) as Row | undefined;
      if (row === undefined) return undefined;
      this.#revive(db, row, now);
      return draftOf(db.prepare("select * from drafts where id = ?").get(id) as Row);
    });
  }

  close(): void {
    this.#db?.close();
    this.#db = undefined;
  }

  #keptBefore(db: Database, owner: Owner, letter: NamedLetter, recipient: string): Row | undefined {
    const row = db
      .prepare("select * from drafts where bus = @bus and sender = @sender and request_id = @requestId")
      .get({ ...owner, requestId: letter.requestId }) as Row | undefined;
    if (row === undefined) return undefined;
    // What a bus compares; never ttl or traceparent.
    const same =
      row.recipient === recipient &&
      row.subject === letter.subject &&
      row.body === letter.body &&
      row.in_reply_to === (letter.inReplyTo ?? null) &&
      row.include_sender === (letter.includeSender ? 1 : 0);
    if (!same) throw requestIdReused(letter.requestId, row.id);
    return row;
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

  #write<T>(work: (db: Database) => T): T {
    return this.#guarded((db) => db.transaction(() => work(db)).immediate());
  }

  /** One statement, and so one snapshot; or statements that need not agree. */
  #read<T>(work: (db: Database) => T): T {
    return this.#guarded(work);
  }

  #guarded<T>(work: (db: Database) => T): T {
    try {
      return work(this.#opened());
    } catch (error) {
      throw asOutboxError(this.#file, error);
    }
  }

  /** What lies at the path now: drafts put into a file that was removed meanwhile would be lost. */
  #opened(): Database {
    const identity = this.#identify();
    if (this.#db !== undefined && identity === this.#identity) return this.#db;
    this.close();
    if (identity === undefined) createPrivately(this.#file);
    this.#db = openOutbox(this.#file);
    this.#identity = this.#identify() ?? "";
    return this.#db;
  }

  #identify(): string | undefined {
    if (!existsSync(this.#file)) return undefined;
    const { dev, ino } = statSync(this.#file);
    return `${dev}:${ino}`;
  }
}

function draftOf(row: Row): Draft {
  return {
    id: row.id,
    bus: row.bus,
    sender: row.sender,
    recipient: row.recipient,
    requestId: row.request_id,
    subject: row.subject,
    body: row.body,
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
function assertSendable(letter: NamedLetter): void {
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

function asOutboxError(file: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof OutboxError) return error;
  const code = "code" in error ? String(error.code) : "";
  // Not the file's fault: refused, or a defect.
  if (error.name === "ConnectError" || error instanceof TypeError || error instanceof RangeError) return error;
  return new OutboxError(`the outbox ${file} can't be used: ${error.message}; ${adviceFor(code)}`, { cause: error });
}

function adviceFor(code: string): string {
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) {
    return "it is damaged: move it away and keep it for whoever may restore its drafts; a new one is made by itself";
  }
  if (/^SQLITE_FULL|ENOSPC/.test(code)) return "make room on its disk";
  if (/^SQLITE_BUSY/.test(code)) return "another process holds it: end that one, or try again";
  return "see that this user may write to it and its folder, or name another file (--outbox FILE, AGENTBUS_OUTBOX; off: none)";
}
