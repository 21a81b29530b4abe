/**
 * What the numbers depend on and no bus can change: processors, versions, and how long this disk takes for an fsync.
 */
import { closeSync, fdatasyncSync, openSync, statfsSync, writeSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { quantile } from "./statistics.ts";

/** Linux: statfs(2). */
const TMPFS = 0x01021994;
const PAGE = Buffer.alloc(4096, 1);

export interface MachineFacts {
  readonly cores: number;
  readonly processor: string;
  readonly system: string;
  readonly node: string;
  readonly sqlite: string;
  readonly loadBefore: number;
  readonly folder: string;
  /** A file system in memory: nothing there survives the machine. */
  readonly inMemory: boolean;
  readonly fsyncP50Ms: number;
  readonly fsyncP99Ms: number;
}

export function machineFacts(folder: string, sqlite: string): MachineFacts {
  const fsyncs = fsyncTimes(folder);
  return {
    cores: os.availableParallelism(),
    processor: os.cpus()[0]?.model.trim() ?? "unknown",
    system: `${os.type()} ${os.release()}`,
    node: process.version,
    sqlite,
    loadBefore: os.loadavg()[0] ?? 0,
    folder,
    inMemory: statfsSync(folder).type === TMPFS,
    fsyncP50Ms: quantile(fsyncs, 0.5),
    fsyncP99Ms: quantile(fsyncs, 0.99),
  };
}

/** Each of one page appended, as a database's log grows. */
function fsyncTimes(folder: string): number[] {
  const file = openSync(join(folder, "fsync"), "w");
  const times = Array.from({ length: 200 }, () => {
    const began = performance.now();
    writeSync(file, PAGE);
    fdatasyncSync(file);
    return performance.now() - began;
  });
  closeSync(file);
  return times;
}
