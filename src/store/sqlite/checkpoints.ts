/**
 * Moves what the WAL holds into the database file, after commits, and says so when that fails. SQLite's own automatic
 * checkpoints fail in silence, and may count as done what no disk has: see docs/decisions/0006-failed-sync.md.
 */
import { closeSync, openSync, statSync, writeSync } from "node:fs";
import type { Database } from "./open-database.ts";

/** Frames in the WAL from which on it is moved: SQLite's own default. */
const FRAMES = 1000;
/** After a failure: each try copies the whole WAL again. */
const RETRY_MS = 1000;
/** Where the -shm file counts the frames that need not be copied again (sqlite.org/walformat.html, "nBackfill"). */
const COPIED_AT = 96;

interface State {
  readonly log: number;
  readonly checkpointed: number;
}

export class Checkpoints {
  readonly #db: Database;
  readonly #look;
  readonly #move;
  readonly #pages;
  readonly #pageBytes;
  /** Open as long as the database is: closing any descriptor of this file drops SQLite's locks on it. */
  readonly #sharedMemory: number;
  /** What counts as copied may not be on the disk. */
  #suspect = true;
  #failure: unknown;
  #failedAt = 0;

  /** `path`: without symbolic links, as SQLite names the files beside it. */
  constructor(db: Database, path: string) {
    this.#db = db;
    this.#look = db.prepare("pragma wal_checkpoint(noop)");
    this.#move = db.prepare("pragma wal_checkpoint(passive)");
    this.#pages = db.prepare("pragma page_count").pluck();
    this.#pageBytes = db.prepare("pragma page_size").pluck();
    this.#sharedMemory = openSync(`${path}-shm`, "r+");
  }

  /** Why the last one failed; undefined: it did not. */
  get failure(): unknown {
    return this.#failure;
  }

  /** By how many bytes the database file would grow if all were moved now. */
  get growth(): number {
    return (this.#pages.get() as number) * (this.#pageBytes.get() as number) - statSync(this.#db.name).size;
  }

  /** Never inside a transaction. */
  afterCommit(now: number): void {
    if (this.#failure === undefined ? this.#isDue() : now - this.#failedAt >= RETRY_MS) this.run(now);
  }

  run(now: number): void {
    try {
      if (this.#suspect) this.#copyAllAgain();
      this.#move.get();
      this.#failure = undefined;
    } catch (error) {
      this.#failure = error;
      this.#failedAt = now;
      this.#suspect = true;
    }
  }

  /** Closes the database too, which ends with a checkpoint if nobody else has it open. */
  close(): void {
    if (this.#suspect) this.#copyAllAgain();
    this.#db.close();
    closeSync(this.#sharedMemory);
  }

  #isDue(): boolean {
    try {
      const { log, checkpointed } = this.#look.get() as State;
      return log >= FRAMES && checkpointed < log;
    } catch {
      return true; // run() meets the same fault, and remembers it
    }
  }

  /**
   * A checkpoint that a reader holds up copies some frames, counts them, and leaves their sync to the next one. When that
   * sync fails the kernel takes all those pages for written: the sync after it would succeed, and SQLite would overwrite
   * the WAL, the only copy that the disk has. So nothing counts as copied, and all that the WAL holds is copied again.
   */
  #copyAllAgain(): void {
    writeSync(this.#sharedMemory, Buffer.alloc(4), 0, 4, COPIED_AT);
    this.#suspect = false;
  }
}
