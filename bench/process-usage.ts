/**
 * What a process has used so far, from /proc: processor time and memory. Where there is no /proc, nothing is known.
 */
import { readFileSync } from "node:fs";

/** Linux reports in hundredths of a second, whatever the kernel's own tick. */
const TICK_MS = 10;

export interface CpuTime {
  /** Of all threads. */
  readonly totalMs: number;
  /** Of the main thread: node's event loop. */
  readonly loopMs: number;
}

export function cpuTime(pid: number): CpuTime | undefined {
  try {
    return {
      totalMs: ticksOf(`/proc/${pid}/stat`) * TICK_MS,
      loopMs: ticksOf(`/proc/${pid}/task/${pid}/stat`) * TICK_MS,
    };
  } catch {
    return undefined;
  }
}

/** In user mode and in the kernel: fields 14 and 15 of proc_pid_stat(5). */
function ticksOf(file: string): number {
  const text = readFileSync(file, "utf8");
  // The second field, in parentheses, may hold spaces.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** Resident memory in bytes. */
export function residentBytes(pid: number): number | undefined {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}
