/**
 * Makes sure that one bus alone serves a database: a second one would not hear the first one's doorbell. The lock is
 * the operating system's, so kill -9 releases it.
 */
import { existsSync, realpathSync } from "node:fs";
import Database from "better-sqlite3";

/** Throws when another process holds it. Closing what it returns lets go. */
export function holdAlone(path: string): { close(): void } {
  // The lock lies beside the file itself: a symbolic link to it is another name, not another database.
  const lock = open(`${existsSync(path) ? realpathSync(path) : path}.lock`);
  try {
    lock.pragma("journal_mode = memory");
    lock.exec("begin exclusive");
    return lock;
  } catch (error) {
    lock.close();
    if (error instanceof Error && "code" in error && error.code === "SQLITE_BUSY") {
      throw new Error(`${path} is served by another agentbus process; stop that one, or name another file`, {
        cause: error,
      });
    }
    throw error;
  }
}

function open(path: string): Database.Database {
  try {
    return new Database(path, { timeout: 0 });
  } catch (cause) {
    // SQLite does not say which file.
    throw new Error(`${path} can't be opened: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
