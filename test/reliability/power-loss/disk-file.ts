/**
 * One file as a process sees it and as the disk may hold it. What was written since the last sync may be on the disk in
 * part, sector by sector; what a failed sync left in the page cache reads as written and is not on the disk.
 */
import type { Chance } from "../../wire/seeded-chance.ts";
import { GrowingBytes } from "./growing-bytes.ts";

const SECTOR = 512;
const PAGE = 4096;

export interface Change {
  readonly offset: number;
  /** undefined: the file has `offset` bytes from then on. */
  readonly data: Buffer | undefined;
}

export class DiskFile {
  /** What the process reads back, without the changes in #unsynced. */
  readonly #cached = new GrowingBytes();
  /** What is on the disk for certain. */
  readonly #disk = new GrowingBytes();
  #unsynced: Change[] = [];

  change(change: Change): void {
    this.#unsynced.push(change);
  }

  /** What the process would read. */
  get seen(): Buffer {
    const seen = new GrowingBytes(this.#cached.content);
    for (const change of this.#unsynced) apply(change, seen);
    return seen.content;
  }

  synced(): void {
    const changes = this.#unsynced.splice(0);
    for (const change of changes) apply(change, this.#cached);
    // The kernel writes whole pages: what a failed sync left on the same page comes along.
    for (const { offset, data } of changes) {
      if (data !== undefined) this.#disk.copyBlocks(this.#cached, offset, data.length, PAGE);
    }
    this.#disk.resize(this.#cached.length);
  }

  /** ext4 and XFS: the pages count as clean, read as written, and are not on the disk until they are written again. */
  syncFailed(): void {
    for (const change of this.#unsynced.splice(0)) apply(change, this.#cached);
  }

  /** What a power loss now may leave. */
  afterPowerLoss(chance: Chance): Buffer {
    const disk = new GrowingBytes(this.#disk.content);
    if (this.#unsynced.length === 0) return disk.content;
    const cached = new GrowingBytes(this.#cached.content);
    const keeps = chance.pick(KEEPING)(this.#unsynced.length, chance);
    for (const [i, change] of this.#unsynced.entries()) {
      apply(change, cached);
      const kept = keeps(i);
      if (kept === "nothing") continue;
      if (change.data === undefined) disk.resize(Math.min(disk.length, change.offset));
      else for (const at of sectorsOf(change, kept, chance)) disk.copyBlocks(cached, at, SECTOR, SECTOR);
    }
    // A length may be on the disk before its bytes are: zeros.
    if (chance.next() < 0.1 && disk.length < cached.length) disk.resize(cached.length);
    return disk.content;
  }
}

type Kept = "nothing" | "all" | "a prefix" | "some sectors";

/**
 * Which of `count` changes reached the disk. A later one without an earlier one is what reordering looks like; what lies
 * in one sector twice is there in one of its versions.
 */
const KEEPING: readonly ((count: number, chance: Chance) => (i: number) => Kept)[] = [
  () => () => "nothing",
  () => () => "all",
  () => () => "some sectors",
  (_, chance) => () => chance.pick(["nothing", "all", "a prefix"]),
  (_, chance) => () => (chance.next() < 0.9 ? "all" : chance.pick(["nothing", "a prefix", "some sectors"])),
  // The first ones, the next one torn.
  (count, chance) => {
    const torn = chance.integer(count + 1);
    return (i) => (i < torn ? "all" : i === torn ? "a prefix" : "nothing");
  },
  // The last ones: a commit record without what it commits.
  (count, chance) => {
    const from = chance.integer(count + 1);
    return (i) => (i < from ? "nothing" : "all");
  },
  // All but one.
  (count, chance) => {
    const missing = chance.integer(count);
    return (i) => (i === missing ? chance.pick(["nothing", "a prefix", "some sectors"]) : "all");
  },
];

/** Where the sectors begin that the write touched and the disk kept. */
function sectorsOf({ offset, data }: Change, kept: Kept, chance: Chance): number[] {
  const first = Math.floor(offset / SECTOR);
  const count = Math.ceil((offset + (data?.length ?? 0)) / SECTOR) - first;
  const all = Array.from({ length: count }, (_, i) => (first + i) * SECTOR);
  if (kept === "a prefix") return all.slice(0, chance.integer(count));
  return kept === "some sectors" ? all.filter(() => chance.next() < 0.5) : all;
}

function apply({ offset, data }: Change, content: GrowingBytes): void {
  if (data === undefined) content.resize(offset);
  else content.write(data, offset);
}
