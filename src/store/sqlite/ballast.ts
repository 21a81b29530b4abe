/**
 * A file that is given up when the disk is full: what it frees is kept for acks and leases, so that agents can finish
 * their work, while Sends go on being refused until it could be written again. It knows the disk, not the database.
 */
import { closeSync, existsSync, fsyncSync, openSync, rmSync, statfsSync, statSync, writeSync } from "node:fs";

/** Large disks spare this much, small ones a part of what they have. */
const MAX_BYTES = 8 * 1024 * 1024;
const MIN_BYTES = 64 * 1024;
const PART_OF_FREE = 1 / 16;
/** Between two tries to take it back. */
const RETRY_MS = 5000;

export class Ballast {
  readonly #path: string;
  #held: boolean;
  #triedAt = 0;

  constructor(databasePath: string, now: number) {
    this.#path = `${databasePath}.ballast`;
    this.#held = existsSync(this.#path) && statSync(this.#path).size >= MIN_BYTES;
    if (!this.#held) this.recover(now + RETRY_MS);
  }

  /** False: the disk was full and is not known to be any better. */
  get held(): boolean {
    return this.#held;
  }

  giveUp(): void {
    rmSync(this.#path, { force: true });
    this.#held = false;
  }

  /** Takes it back if there is room again; looks only now and then. */
  recover(now: number): void {
    if (this.#held || now - this.#triedAt < RETRY_MS) return;
    this.#triedAt = now;
    try {
      const file = openSync(this.#path, "w", 0o600);
      try {
        const { bavail, bsize } = statfsSync(this.#path);
        const bytes = Math.max(MIN_BYTES, Math.min(MAX_BYTES, Math.floor(bavail * bsize * PART_OF_FREE)));
        // Zeros are written, not just a length: a hole would free nothing.
        const block = Buffer.alloc(bytes);
        for (let at = 0; at < bytes; ) at += writeSync(file, block, at);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      this.#held = true;
    } catch {
      // Still no room: the next try is due in a while, and until then Sends are refused as before.
      rmSync(this.#path, { force: true });
    }
  }
}
