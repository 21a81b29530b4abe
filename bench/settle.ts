/**
 * Waits until a server has nothing left to do: what a bus puts off, such as making mail searchable, belongs to the phase
 * that caused it and must not slow down the next one.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { cpuTime } from "./process-usage.ts";

/** Longer than a bus waits between two looks at what is left to do. */
const QUIET_MS = 500;
/** Used in that time by a bus that only looks. */
const IDLE_CPU_MS = 25;
const STEP_MS = 50;
const MAX_MS = 15_000;

export async function settle(pid: number): Promise<void> {
  const steps: number[] = [];
  for (let waited = 0; waited < MAX_MS; waited += STEP_MS) {
    steps.push(cpuTime(pid)?.totalMs ?? 0);
    const before = steps.at(-1 - QUIET_MS / STEP_MS);
    if (before !== undefined && (steps.at(-1) as number) - before <= IDLE_CPU_MS) return;
    await sleep(STEP_MS);
  }
}
