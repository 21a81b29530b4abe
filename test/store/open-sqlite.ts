/** SQLite stores for tests, each in a folder of its own that is gone when the test ends. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { onTestFinished } from "vitest";
import { openStore } from "#dist/store/open-store.js";
import { type Opened, type Opening, storeOptions } from "./store-under-test.ts";

/** Where there is a file system in memory, hundreds of stores need not wait for a disk that they do not test. */
const MEMORY = "/dev/shm";

/** A store on a file that may be there already. */
export async function openSqlite(file: string, opening: Opening): Promise<Opened> {
  const store = await openStore(`sqlite:${file}`, storeOptions(opening));
  return { store, reopen: (again) => openSqlite(file, again) };
}

/** A store that holds nothing yet. */
export function openFreshSqlite(opening: Opening): Promise<Opened> {
  const folder = mkdtempSync(`${existsSync(MEMORY) ? MEMORY : tmpdir()}/agentbus-test-`);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return openSqlite(`${folder}/bus.db`, opening);
}
