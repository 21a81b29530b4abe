/**
 * The file of drafts between processes: opened when it is needed, made where there is none, each write one transaction.
 * What goes wrong with it becomes an OutboxError that says what to do. It knows no draft.
 */
import { statSync } from "node:fs";
import { type Database, openOutbox, SqliteError } from "./open-outbox.ts";
import { OutboxError } from "./outbox-errors.ts";
import { createPrivately } from "./outbox-file.ts";

export class SharedFile {
  readonly #path: string;
  readonly #busyMs: number | undefined;
  #db: Database | undefined;
  /** Device and inode of what is open. */
  #identity: string | undefined;

  /** `busyMs`: how long to wait for other processes. */
  constructor(path: string, busyMs?: number) {
    this.#path = path;
    this.#busyMs = busyMs;
  }

  /** One transaction, on disk when it returns; waits for other processes. */
  write<T>(work: (db: Database) => T): T {
    return this.read((db) => db.transaction(() => work(db)).immediate());
  }

  /** One statement, and so one snapshot; or several that need not agree. */
  read<T>(work: (db: Database) => T): T {
    const db = this.#opened();
    try {
      return work(db);
    } catch (error) {
      throw error instanceof SqliteError ? this.#unusable(error) : error;
    }
  }

  close(): void {
    this.#db?.close();
    this.#db = undefined;
  }

  /** What lies at the path now: drafts put into a file that was removed meanwhile would be lost. */
  #opened(): Database {
    try {
      const identity = this.#identify();
      if (this.#db !== undefined && identity === this.#identity) return this.#db;
      this.close();
      if (identity === undefined) createPrivately(this.#path);
      this.#db = openOutbox(this.#path, this.#busyMs);
      this.#identity = this.#identify();
      return this.#db;
    } catch (error) {
      throw this.#unusable(error);
    }
  }

  #identify(): string | undefined {
    const found = statSync(this.#path, { throwIfNoEntry: false });
    return found && `${found.dev}:${found.ino}`;
  }

  #unusable(error: unknown): OutboxError {
    const what = error instanceof Error ? error.message : String(error);
    const advice = adviceFor(error instanceof Error && "code" in error ? String(error.code) : "");
    return new OutboxError(`the outbox ${this.#path} can't be used: ${what}; ${advice}`, { cause: error });
  }
}

function adviceFor(code: string): string {
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) {
    return "it is damaged: move it away, for whoever may get its drafts back, and a new one is made";
  }
  if (/^(SQLITE_FULL|ENOSPC)/.test(code)) return "make room on its disk";
  if (/^SQLITE_BUSY/.test(code)) return "another process holds it: end that one, or try again";
  return "see that this user may write to it and its folder, or name another file (--outbox FILE, AGENTBUS_OUTBOX; off: none)";
}
