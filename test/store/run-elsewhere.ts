/** Runs a piece of code on the built store in a process of its own: one that can be killed, or that blocks nobody here. */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { temporaryFolder } from "../start-bus.ts";
import { storeOptions } from "./store-under-test.ts";

const DIST = new URL("../../dist/store/", import.meta.url);
const { policy } = storeOptions({ clock: () => 0 });

/**
 * `code` is a module in which `open(file)` gives a store, `backupStore` is at hand and `given` holds the arguments.
 * Rejects, with its `stderr` and `signal`, unless it ends well.
 */
export async function runElsewhere(code: string, ...given: string[]): Promise<void> {
  const script = `${temporaryFolder()}/script.mjs`;
  writeFileSync(
    script,
    `import { openStore } from ${JSON.stringify(new URL("open-store.js", DIST).href)};
    import { backupStore } from ${JSON.stringify(new URL("backup-store.js", DIST).href)};
    const given = process.argv.slice(2);
    const options = { clock: Date.now, ring() {}, policy: ${JSON.stringify(policy)} };
    const open = (file) => openStore("sqlite:" + file, options);
    ${code}`,
  );
  await promisify(execFile)(process.execPath, [script, ...given]);
}
