/**
 * What the bus does by itself: writes down what is dead within a second, makes new mail findable, deletes what was kept
 * long enough. It knows when, in slices with a pause between them; the store knows what.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Store } from "./store.ts";

/** Two rounds fit into the second within which a bounce is promised. */
const ROUND_MS = 400;
/** Between slices, so that whatever waits for a commit comes first. */
const PAUSE_MS = 5;
/** Retention counts in hours: it need not be quick. */
const RETAIN_EVERY_MS = 10 * 60_000;

type Chores = Pick<Store, "sweep" | "index" | "retain">;

export class Housekeeping {
  readonly #store: Chores;
  readonly #failed: (error: unknown, chore: string) => void;
  readonly #stop = new AbortController();
  #done: Promise<unknown> = Promise.resolve();

  /** `failed` is told of every chore that failed; it is tried again in the next round. */
  constructor(store: Chores, failed: (error: unknown, chore: string) => void) {
    this.#store = store;
    this.#failed = failed;
  }

  start(): void {
    this.#done = Promise.all([
      this.#repeat("sweep", ROUND_MS, () => this.#store.sweep()),
      this.#repeat("index", ROUND_MS, () => this.#store.index()),
      this.#repeat("retain", RETAIN_EVERY_MS, () => this.#store.retain()),
    ]);
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  /** A slice at a time until there is no more, then again after `everyMs`. */
  async #repeat(chore: string, everyMs: number, slice: () => Promise<boolean>): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const more = await slice().catch((error: unknown) => {
        this.#failed(error, chore);
        return false;
      });
      await this.#pause(more ? PAUSE_MS : everyMs);
    }
  }

  async #pause(ms: number): Promise<void> {
    // Rejects only because it was stopped: that is what it is for.
    await sleep(ms, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined);
  }
}
