/**
 * Calls that the bus works on right now: read whole, and not decided yet; and how many there may be. Whoever is slow to
 * send his request or to read his answer costs a connection, but keeps nobody out.
 */
import { BusError } from "../errors.ts";

const RETRY_WHEN_BUSY_MS = 1000;

export class Load {
  readonly #max: number;
  readonly #waiting: () => number;
  #calls = 0;

  /** `waiting` calls are under way and cost nothing: pulls that wait for mail. */
  constructor(max: number, waiting: () => number) {
    this.#max = max;
    this.#waiting = waiting;
  }

  /** Throws BUSY: there is no room for one more call. */
  requireRoom(): void {
    if (this.#calls - this.#waiting() < this.#max) return;
    throw new BusError({
      reason: "BUSY",
      advice: `this bus works on ${this.#max} calls already; repeat in a moment, with the same request_id`,
      retryAfterMs: RETRY_WHEN_BUSY_MS,
    });
  }

  /** Throws BUSY instead of beginning: many calls that came at once may all have found room before any of them began. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.requireRoom();
    this.#calls++;
    try {
      return await work();
    } finally {
      this.#calls--;
    }
  }
}
