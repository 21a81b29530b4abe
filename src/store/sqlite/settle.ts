/**
 * Makes sure, when a bus starts, that what it is about to read is on the disk: after a failed sync the page cache may show
 * a transaction that the disk does not have. See docs/decisions/0006-failed-sync.md. It knows files, not tables.
 */
import { closeSync, existsSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import type { Database } from "./open-database.ts";
import { syncFolder } from "./sync-folder.ts";

const BLOCK_BYTES = 64 * 1024;

/** Throws when the disk can't be written: whatever is answered then could be lost. */
export function settle(db: Database, path: string): void {
  // Nobody else writes to the WAL meanwhile: a `token` command may.
  db.exec("begin immediate");
  try {
    // SQLite says WAL mode even if the write or sync failed that was to put the file into it.
    if (!existsSync(`${path}-wal`)) throw new Error("its WAL could not be made");
    rewrite(`${path}-wal`);
  } finally {
    db.exec("rollback");
  }
  // SQLite does this too, but takes no notice when it fails.
  syncFolder(dirname(path));
}

/** A sync alone would do nothing: the kernel counts the pages of a failed one as written. These are dirty again. */
function rewrite(path: string): void {
  const file = openSync(path, "r+");
  try {
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    for (let at = 0; ; ) {
      const bytes = readSync(file, block, 0, BLOCK_BYTES, at);
      if (bytes === 0) break;
      for (let done = 0; done < bytes; ) done += writeSync(file, block, done, bytes - done, at + done);
      at += bytes;
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
