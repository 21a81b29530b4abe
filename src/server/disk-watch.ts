/**
 * Says in the log when the disk that keeps the mail gets full, while there is still time, and when it no longer is. It
 * knows bytes and when to look, not where they are.
 */
import type { Space, Store } from "../store.ts";
import type { Logger } from "./log.ts";

const LOOK_EVERY_MS = 60_000;
/** Low: less free than this, or less than a tenth of what the database takes: it grows by its own measure. */
const LOW_BYTES = 64 * 1024 * 1024;
const PART_OF_DATABASE = 1 / 10;

export class DiskWatch {
  readonly #store: Pick<Store, "space">;
  readonly #log: Logger;
  #low = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Pick<Store, "space">, log: Logger) {
    this.#store = store;
    this.#log = log;
  }

  /** Looks at once, and then once a minute. */
  start(): void {
    const look = () => {
      this.#store.space().then(
        (space) => this.#judge(space),
        (err: unknown) => this.#log.error({ err }, "can't ask the disk how much room it has"),
      );
    };
    look();
    this.#timer = setInterval(look, LOOK_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #judge(space: Space): void {
    const { databaseBytes, freeBytes } = space;
    const low = freeBytes !== undefined && freeBytes < Math.max(LOW_BYTES, databaseBytes * PART_OF_DATABASE);
    if (low) {
      this.#log.warn(space, "the disk gets full: make room, or lower --retention; when it is full Sends are refused");
    } else if (this.#low) this.#log.info(space, "the disk has room again");
    this.#low = low;
  }
}
