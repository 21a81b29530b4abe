/**
 * Opens the file of drafts: the only place that does, so that no connection is less durable than `queued` promises. It
 * knows the schema, not what is done with it.
 */
import Database from "better-sqlite3";
import { unfitNode } from "../../node-version.ts";

export type { Database } from "better-sqlite3";
export const { SqliteError } = Database;

/** "ABox": tells our file from somebody else's SQLite file. */
const APPLICATION_ID = 0x41426f78;
const VERSION = 1;
/**
 * How long to wait for other processes. Each holds the file for one short transaction, but SQLite lets nobody queue: beside
 * seven that keep drafts without a pause, the eighth waited up to 5.5 s.
 */
const BUSY_TIMEOUT_MS = 20_000;
const EXTRA = 3;

const SCHEMA = `
create table drafts (
  id integer primary key autoincrement,
  bus text not null,
  sender text not null,
  recipient text not null,
  request_id text not null,
  subject text not null,
  body text not null,
  in_reply_to text,
  traceparent text,
  include_sender integer not null,
  kept_at integer not null,
  -- End of its ttl; null: none.
  deadline_at integer,
  -- The earlier of that and of the greatest age.
  expires_at integer not null,
  state text not null check (state in ('waiting', 'parked', 'set aside', 'expired')),
  reason text not null,
  retry_at integer,
  internal_errors integer not null default 0,
  may_have_arrived integer not null,
  unique (bus, sender, request_id)
) strict;
create index drafts_in_turn on drafts (bus, sender, id) where state in ('waiting', 'parked');
create index drafts_of_sender on drafts (sender);`;

/** Of a file that is there already, also an empty one. Throws, and changes nothing, if it is not ours. */
export function openOutbox(file: string, busyMs = BUSY_TIMEOUT_MS): Database.Database {
  const unfit = unfitNode();
  if (unfit !== undefined) throw new Error(unfit);
  const db = new Database(file, { fileMustExist: true, timeout: busyMs });
  try {
    assertOurs(db);
    // No WAL: there is little to write, a -shm file maps memory, which network file systems can't share, and a commit
    // leaves nothing behind that a later one must carry over.
    const mode = db.pragma("journal_mode = delete", { simple: true });
    if (mode !== "delete") throw new Error(`it can't be put into journal mode "delete" (it is in "${String(mode)}")`);
    // EXTRA syncs the folder too once the journal is gone: with FULL, a power loss may bring it back, and a commit undone.
    db.pragma("synchronous = extra");
    if (db.pragma("synchronous", { simple: true }) !== EXTRA) throw new Error("synchronous=EXTRA was not accepted");
    if (versionOf(db) < VERSION) createTables(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function assertOurs(db: Database.Database): void {
  // One snapshot: another process may be making the tables just now.
  const look = db.transaction(() => ({
    application: db.pragma("application_id", { simple: true }),
    empty: db.prepare("select count(*) from sqlite_schema").pluck().get() === 0,
  }));
  const { application, empty } = look.deferred();
  if (application !== APPLICATION_ID && !(empty && application === 0)) throw new Error("it is no outbox of agentbus");
  if (versionOf(db) > VERSION) {
    throw new Error(`it has version ${versionOf(db)}, and this agentbus knows only ${VERSION}: a newer one wrote it`);
  }
}

function versionOf(db: Database.Database): number {
  return db.pragma("user_version", { simple: true }) as number;
}

function createTables(db: Database.Database): void {
  const create = db.transaction(() => {
    // Another process may have been faster.
    if (versionOf(db) === VERSION) return;
    db.exec(SCHEMA);
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${VERSION}`);
  });
  create.immediate();
}
