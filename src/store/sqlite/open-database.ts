/**
 * Opens a connection to the bus's SQLite file: the only place that does, so that no connection is ever less durable than
 * the bus promises. It knows nothing of tables.
 */
import Database from "better-sqlite3";
import { assertOurs } from "./migrate.ts";

export type { Database } from "better-sqlite3";

/** SQLite before this can corrupt a WAL database that has two connections (sqlite.org/wal.html, "WAL-reset bug"). */
const OLDEST_SQLITE = [3, 51, 3] as const;
/** How long to wait for the one other writer there may be: a `token` command. */
const BUSY_TIMEOUT_MS = 5000;
/** Bytes of WAL that are kept after a checkpoint; more is truncated. */
const WAL_SIZE_LIMIT = 64 * 1024 * 1024;
const FULL = 2;

/** The writing connection. Creates the file. */
export function openForWriting(path: string): Database.Database {
  return configured(open(path, false), path);
}

/** A connection that only reads. The file must be there. */
export function openForReading(path: string): Database.Database {
  return configured(open(path, true), path);
}

function open(path: string, readonly: boolean): Database.Database {
  try {
    return new Database(path, { readonly, timeout: BUSY_TIMEOUT_MS });
  } catch (cause) {
    // SQLite does not say which file.
    throw new Error(`${path} can't be opened: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function configured(db: Database.Database, path: string): Database.Database {
  try {
    assertRecent(db.prepare("select sqlite_version()").pluck().get() as string);
    // Before WAL mode, which is written into the file: somebody else's is left as it is.
    assertOurs(db);
    const mode = db.readonly
      ? db.pragma("journal_mode", { simple: true })
      : db.pragma("journal_mode = wal", { simple: true });
    if (mode !== "wal")
      throw new Error(
        `${path} can't be put into WAL mode (it is in "${String(mode)}"); is it on a network file system?`,
      );
    // The driver compiles in NORMAL for WAL: a commit would not be synced. Set on every open, and asserted.
    db.pragma("synchronous = full");
    if (db.pragma("synchronous", { simple: true }) !== FULL)
      throw new Error(`${path}: synchronous=FULL was not accepted`);
    db.pragma("foreign_keys = on");
    if (!db.readonly) {
      db.pragma(`journal_size_limit = ${WAL_SIZE_LIMIT}`);
      // The writer thread moves the WAL by itself: checkpoints.ts.
      db.pragma("wal_autocheckpoint = 0");
    }
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function assertRecent(version: string): void {
  const parts = version.split(".").map(Number);
  const difference = OLDEST_SQLITE.map((oldest, i) => (parts[i] ?? 0) - oldest).find((each) => each !== 0) ?? 0;
  if (difference < 0) {
    throw new Error(
      `SQLite ${version} can corrupt a database in WAL mode; ${OLDEST_SQLITE.join(".")} or newer is needed`,
    );
  }
}
