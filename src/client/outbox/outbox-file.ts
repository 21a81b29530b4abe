/** Says where the file of drafts lies, and makes it so that only its user can read it. It knows nothing of its content. */
import { closeSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { stateFile } from "../state-file.ts";

/** How the setting names the user's own folder of states, on whatever system. */
const STATE_HOME = "$XDG_STATE_HOME/";

/** The path that the setting means; undefined: the outbox is off. */
export function outboxFile(
  setting: string | false,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string | undefined {
  if (setting === false) return undefined;
  if (!setting.startsWith(STATE_HOME)) return resolve(setting);
  return stateFile(setting.slice(STATE_HOME.length), environment);
}

/** Makes the file, empty, and the folders above it where they are missing; each lasts before this returns. */
export function createPrivately(file: string): void {
  makeFolder(dirname(file));
  try {
    // Never opened once it is there: closing it would release the locks that this process holds on it.
    const descriptor = openSync(file, "wx", 0o600);
    fsyncSync(descriptor);
    closeSync(descriptor);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
  syncFolder(dirname(file));
}

/** Level by level: node's own recursive mkdir never returns from a folder such as /proc. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    const code = codeOf(error);
    if (code === "EEXIST") return;
    const above = dirname(folder);
    if (code !== "ENOENT" || above === folder) throw error;
    makeFolder(above);
    mkdirUnlessThere(folder);
  }
  syncFolder(dirname(folder));
}

function mkdirUnlessThere(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
}

/** A new name survives a power loss only when the folder that it lies in was synced. */
function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
