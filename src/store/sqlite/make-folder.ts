/** Makes the folder of a database, one level deep. It knows nothing of what will lie in it. */
import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { syncFolder } from "./sync-folder.ts";

/**
 * Throws an Error with advice. Not recursive: node's own recursive mkdir never returns where the file system answers
 * ENOENT for a folder whose parent is there, as /proc does; and a misspelled path should be told, not made.
 */
export function makeFolderOf(path: string): void {
  const folder = dirname(path);
  try {
    mkdirSync(folder, { mode: 0o700 });
    syncFolder(dirname(resolve(folder)));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code === "EEXIST") return;
    const advice = code === "ENOENT" ? "the folder above it is missing" : String(error);
    throw new Error(
      `can't make the folder ${folder} for the database: ${advice}; make it, or name another with --store`,
      {
        cause: error,
      },
    );
  }
}
