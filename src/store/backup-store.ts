/**
 * Copies a store's mail into one file while the bus serves: VACUUM INTO on a connection of its own, which sees one
 * instant and neither blocks nor is restarted by writes. It knows nothing of tables.
 */
import { closeSync, existsSync, fsyncSync, linkSync, openSync, rmSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { noDatabaseAt, parseStoreUrl } from "./open-store.ts";
import { openForReading } from "./sqlite/open-database.ts";

/** Throws when `file` is there already. The copy has its name only once it is whole and on disk. */
export async function backupStore(storeUrl: string, file: string): Promise<{ bytes: number; milliseconds: number }> {
  const began = performance.now();
  const source = resolve(parseStoreUrl(storeUrl).path);
  const target = resolve(file);
  if (!existsSync(source)) throw new Error(noDatabaseAt(source));
  if (existsSync(target)) throw new Error(`${target} exists; a backup never overwrites, name another file`);
  if (!existsSync(dirname(target))) throw new Error(`there is no folder ${dirname(target)}; make it, or name another`);
  // A name of its own, so that two backups at once don't publish each other's half.
  const partial = `${target}.${process.pid}.partial`;
  rmSync(partial, { force: true });
  const db = openForReading(source);
  try {
    // SQLite writes into an empty file, too; this one nobody else can read.
    closeSync(openSync(partial, "wx", 0o600));
    db.prepare("vacuum into ?").run(partial);
    sync(partial);
    // Unlike a rename, a link never replaces a file that appeared meanwhile.
    linkSync(partial, target);
    rmSync(partial);
    sync(dirname(target));
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  } finally {
    db.close();
  }
  return { bytes: statSync(target).size, milliseconds: Math.round(performance.now() - began) };
}

function sync(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
