/**
 * Runs callers side by side for a while and says how fast they were, and what that cost the server. It knows not what
 * they call.
 */
import { type CpuTime, cpuTime } from "./process-usage.ts";
import { settle } from "./settle.ts";
import { quantile } from "./statistics.ts";

/** Takes one turn; resolves to how many messages that was, undefined: there is nothing left to do. */
export type Caller = () => Promise<number | undefined>;

/** One phase in one round. */
export interface Sample {
  /** Messages. */
  readonly perSecond: number;
  /** Requests; of raw inserts: transactions. */
  readonly callsPerSecond: number;
  /** Of one turn of a caller. */
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  /** Of the server, for one message, with what it puts off until later. */
  readonly cpu: CpuTime | undefined;
}

export interface Load {
  readonly callers: readonly Caller[];
  /** Requests in one turn of a caller. */
  readonly callsEach: number;
  /** The server's. */
  readonly pid: number;
  /** It puts work off until later, which counts as well. */
  readonly chores: boolean;
}

/** Until `ms` are over, or until one caller has nothing left to do. */
export async function measureCalls({ callers, callsEach, pid, chores }: Load, ms: number): Promise<Sample> {
  const latencies: number[] = [];
  let messages = 0;
  const cpuBefore = cpuTime(pid);
  const start = performance.now();
  let now = start;
  let until = start + ms;
  await Promise.all(
    callers.map(async (caller) => {
      while (now < until) {
        const began = now;
        const done = await caller();
        now = performance.now();
        if (done === undefined) {
          until = now;
          return;
        }
        messages += done;
        latencies.push(now - began);
      }
    }),
  );
  const seconds = (now - start) / 1000;
  if (chores) await settle(pid);
  const cpuAfter = cpuTime(pid);
  if (messages === 0) throw new Error("nothing was done: there was nothing to do");
  return {
    perSecond: messages / seconds,
    callsPerSecond: (latencies.length * callsEach) / seconds,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    cpu: cpuBefore &&
      cpuAfter && {
        totalMs: (cpuAfter.totalMs - cpuBefore.totalMs) / messages,
        loopMs: (cpuAfter.loopMs - cpuBefore.loopMs) / messages,
      },
  };
}
