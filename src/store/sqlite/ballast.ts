/**
 * A file that is given up when the disk is full: what it frees is kept for acks and leases, so that agents can finish
 * their work, while Sends go on being refused until there is room again. It knows the disk, not the database.
 */
import { closeSync, existsSync, fsyncSync, openSync, rmSync, statfsSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** A part of the disk, of its whole size: a part of what is free would be less each time, in the end nothing. */
const PART_OF_DISK = 1 / 16;
/** Twice what a WAL holds before it is moved into the database file, which then grows by as much. */
const MAX_BYTES = 8 * 1024 * 1024;
const MIN_BYTES = 64 * 1024;
/** Taking it back must leave room, or the next Send would need it again. */
const ROOM = 2;
/** Between two tries to take it back. */
const RETRY_MS = 5000;

export class Ballast {
  readonly #path: string;
  #held: boolean;
  #triedAt = Number.NEGATIVE_INFINITY;

  constructor(databasePath: string, now: number) {
    this.#path = `${databasePath}.ballast`;
    this.#held = existsSync(this.#path) && statSync(this.#path).size >= MIN_BYTES;
    this.recover(now);
  }

  /** False: the disk was full and is not known to be any better. */
  get held(): boolean {
    return this.#held;
  }

  /** Bytes that the disk has left. */
  get room(): number {
    const { bavail, bsize } = statfsSync(dirname(this.#path));
    return bavail * bsize;
  }

  giveUp(now: number): void {
    this.#held = false;
    this.#triedAt = now;
    this.#remove();
  }

  /** Takes it back if there is room again; looks only now and then. */
  recover(now: number): void {
    if (this.#held || now - this.#triedAt < RETRY_MS) return;
    this.#triedAt = now;
    try {
      this.#held = this.#take();
    } catch {
      // Still no room: the next try is due in a while, and until then Sends are refused as before.
    }
    if (!this.#held) this.#remove();
  }

  #take(): boolean {
    const { blocks, bsize } = statfsSync(dirname(this.#path));
    const bytes = Math.max(MIN_BYTES, Math.min(MAX_BYTES, Math.floor(blocks * bsize * PART_OF_DISK)));
    if (this.room < bytes * ROOM) return false;
    const file = openSync(this.#path, "w", 0o600);
    try {
      // Zeros are written, not just a length: a hole would free nothing.
      const block = Buffer.alloc(bytes);
      for (let at = 0; at < bytes; ) at += writeSync(file, block, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    return true;
  }

  #remove(): void {
    try {
      rmSync(this.#path, { force: true });
    } catch {
      // A disk that can't even remove a file makes no room either; the bus goes on without.
    }
  }
}
