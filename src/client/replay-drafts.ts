/**
 * Tries what an outbox keeps again while the program runs, so that mail doesn't wait for the next Send. It must not know
 * how drafts are kept or sent.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Replayed } from "./outbox/replay.ts";
import { fullJitterMs } from "./retry-calls.ts";

const MAX_PAUSE_MS = 30_000;

export class DraftReplayer {
  readonly #replay: (sender: string) => Promise<Replayed | undefined>;
  readonly #stop: AbortSignal;
  readonly #running = new Map<string, Promise<void>>();

  /** `replay` gives undefined where no draft was ever kept. */
  constructor(replay: (sender: string) => Promise<Replayed | undefined>, stop: AbortSignal) {
    this.#replay = replay;
    this.#stop = stop;
  }

  /** Until no draft of this sender waits. Keeps no process alive: what waits then is for the next one. */
  start(sender: string): void {
    if (this.#running.has(sender) || this.#stop.aborted) return;
    // An outbox that can't be used tells that to whoever sends next; there is nobody here to be told.
    const running = this.#untilSent(sender)
      .catch(() => {})
      .finally(() => this.#running.delete(sender));
    this.#running.set(sender, running);
  }

  /** Resolves when nothing is tried any more, after the signal has stopped it. */
  async stopped(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  async #untilSent(sender: string): Promise<void> {
    for (let failures = 0, toldMs = 0; ; failures++) {
      const pauseMs = toldMs + fullJitterMs(failures, MAX_PAUSE_MS);
      await delay(pauseMs, undefined, { ref: false, signal: this.#stop }).catch(() => {});
      if (this.#stop.aborted) return;
      const replayed = await this.#replay(sender);
      if (replayed === undefined || replayed.waiting === 0) return;
      if (replayed.sent > 0) failures = 0;
      toldMs = replayed.stopped?.retryAfterMs ?? 0;
    }
  }
}
