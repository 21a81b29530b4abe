/** What Linux tells of a process: the memory it has and the descriptors it holds. */
import { readdirSync, readFileSync } from "node:fs";

/** MiB of memory in use now. */
export function residentMemory(pid: number): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) / 1024;
}

export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
