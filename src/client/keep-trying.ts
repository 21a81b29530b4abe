/** Tells an outage from an answer, and repeats a call over one. It must not know what is called. */
import { setTimeout as delay } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { UnreachableError } from "./unreachable-error.ts";

const PAUSE_MS = 500;

/** True if the same call may be answered later: no bus could be reached, or it said that it is not available now. */
export function isOutage(error: unknown): boolean {
  return error instanceof UnreachableError || (error instanceof ConnectError && error.code === Code.Unavailable);
}

/** Repeats a call while there is an outage, for so long. Only for calls that are safe to repeat. */
export async function keepTrying<T>(call: () => Promise<T>, forMs: number, signal: AbortSignal): Promise<T> {
  const end = performance.now() + forMs;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      signal.throwIfAborted();
      if (!isOutage(error) || performance.now() + PAUSE_MS >= end) throw error;
    }
    await delay(PAUSE_MS, undefined, { signal });
  }
}
