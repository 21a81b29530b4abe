/** Which programs are on this machine. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { Client } from "./clients.ts";

/** The path of the first of these programs that is there. */
export function findProgram(...names: readonly string[]): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

/** What a client needs and is not there, in words; undefined: all is there. */
export function missing({ needs }: Client): string | undefined {
  const absent = Object.entries(needs).filter(([names]) => findProgram(...names.split("|")) === undefined);
  return absent.length === 0 ? undefined : absent.map(([names, from]) => `no ${names}: ${from}`).join("; ");
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
