/**
 * A bus on a host whose wall clock jumps: nodes that follow each other on one database, each with a clock of its own
 * over a wall clock and a monotonic one that the test moves.
 */
import { steadyClock } from "#dist/clock.js";
import type { ReusedStore } from "../model/reused-stores.ts";

export class Host {
  readonly store: ReusedStore;
  #wall: number;
  #elapsed = 0;
  #clock;

  private constructor(store: ReusedStore, wall: number) {
    this.store = store;
    this.#wall = wall;
    this.#clock = this.#newClock();
  }

  static async begin(store: ReusedStore, wall: number): Promise<Host> {
    await store.begin(wall);
    return new Host(store, wall);
  }

  /** Milliseconds that really passed since the beginning. */
  get elapsed(): number {
    return this.#elapsed;
  }

  pass(ms: number): void {
    this.#elapsed += ms;
    this.#wall += ms;
    this.store.now = this.#clock();
  }

  /** Somebody sets the wall clock. */
  jump(ms: number): void {
    this.#wall += ms;
    this.store.now = this.#clock();
  }

  /** Another node takes the database over: it knows only the wall clock. */
  async restart(): Promise<void> {
    this.#clock = this.#newClock();
    await this.store.restart(this.#clock());
  }

  #newClock() {
    return steadyClock(
      () => this.#wall,
      () => this.#elapsed,
    );
  }
}
