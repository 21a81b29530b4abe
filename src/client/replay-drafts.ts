/**
 * Tries what an outbox keeps again while the program runs, so that mail doesn't wait for the next Send. It must not know
 * how drafts are kept or sent.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Replayed } from "./outbox/replay.ts";
import { fullJitterMs } from "./retry-calls.ts";

const MAX_PAUSE_MS = 30_000;

export class DraftReplayer {
  readonly #replay: (sender: string) => Promise<Replayed>;
  readonly #stop: AbortSignal;
  readonly #running = new Map<string, Promise<void>>();

  constructor(replay: (sender: string) => Promise<Replayed>, stop: AbortSignal) {
    this.#replay = replay;
    this.#stop = stop;
  }

  /** At once, and until no draft of this sender waits. Keeps no process alive: what waits then is for the next one. */
  start(sender: string): void {
    this.#start(sender, 0);
  }

  /** The same for who was just told that the bus is away. */
  startLater(sender: string): void {
    this.#start(sender, 1);
  }

  /** Resolves when nothing is tried any more, after the signal has stopped it. */
  async stopped(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  #start(sender: string, failures: number): void {
    if (this.#running.has(sender) || this.#stop.aborted) return;
    const running = this.#untilSent(sender, failures).finally(() => this.#running.delete(sender));
    this.#running.set(sender, running);
  }

  async #untilSent(sender: string, failed: number): Promise<void> {
    for (let failures = failed, toldMs = 0; ; failures++) {
      if (failures > 0) await this.#pause(toldMs + fullJitterMs(failures - 1, MAX_PAUSE_MS));
      if (this.#stop.aborted) return;
      try {
        const replayed = await this.#replay(sender);
        if (replayed.waiting === 0) return;
        if (replayed.sent > 0) failures = 0;
        toldMs = replayed.stopped?.retryAfterMs ?? 0;
      } catch {
        // An outbox that can't be used tells that to whoever sends next; there is nobody here. It may pass, as a full disk does.
        toldMs = 0;
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { ref: false, signal: this.#stop }).catch(() => {});
  }
}
