/** How much room a database takes, and how much its disk has left. It knows files, not tables. */
import { stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { Space } from "../../store.ts";

export async function spaceOf(path: string): Promise<Space> {
  const { bavail, bsize } = await statfs(dirname(path));
  const [database, journal] = await Promise.all([stat(path), stat(`${path}-wal`)]);
  return { databaseBytes: database.size + journal.size, journalBytes: journal.size, freeBytes: bavail * bsize };
}
