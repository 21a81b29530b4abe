/** Tells the disk's faults from the bus's own, and says them in words for callers. */
import type { Refusal } from "../../errors.ts";

export const DISK_FULL: Refusal = {
  reason: "STORAGE_FULL",
  advice: "the bus's disk is full, nothing was stored; tell whoever runs it, and repeat later",
};

/** The disk's fault, not the item's: the whole transaction is in doubt. */
export function isStorage(error: unknown): boolean {
  return /^SQLITE_(FULL|IOERR|CORRUPT|NOTADB|READONLY|CANTOPEN|NOMEM|BUSY|LOCKED|PROTOCOL)/.test(codeOf(error));
}

export function isFull(error: unknown): boolean {
  return codeOf(error) === "SQLITE_FULL";
}

export function writeRefusal(error: unknown): Refusal {
  if (isFull(error)) return DISK_FULL;
  return unreachable(
    "the bus could not write to its storage; whether this was stored is unknown: repeat it with the same request_id",
  );
}

export function readRefusal(): Refusal {
  return unreachable(
    "the bus could not read its storage; whether a write was done is unknown: repeat it with the same request_id",
  );
}

/** For whoever starts a bus: SQLite names neither the file nor what to look at. */
export function whyNotOpened(path: string, error: unknown): Error {
  const message = error instanceof Error ? error.message : String(error);
  if (message.includes(path)) return error as Error;
  const advice = "see that the disk works and has room, and that this user may write to the folder";
  return new Error(`${path} can't be opened: ${message}; ${advice}`, { cause: error });
}

/** For the log. */
export function describe(error: unknown): string {
  const code = codeOf(error);
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return code === "" ? text : `${code}: ${text}`;
}

export function unreachable(advice: string): Refusal {
  return { reason: "STORE_UNREACHABLE", advice, retryAfterMs: 1000 };
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
