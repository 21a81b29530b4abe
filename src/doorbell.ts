/**
 * Wakes pulls that wait for mail. It knows names of inboxes and nothing of what lies in them: whoever is woken looks for
 * himself, and goes on waiting when another worker was faster.
 */

/** Why a wait ended. */
export type Wake = "rung" | "time" | "gone" | "draining";

interface Waiter {
  wake(why: Wake): void;
}

export class Doorbell {
  readonly #waiters = new Map<string, Set<Waiter>>();
  #draining = false;
  #count = 0;

  /** Pulls that wait right now. */
  get waiting(): number {
    return this.#count;
  }

  /** True once drain() was called: nobody waits any more. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Mail may have arrived in this inbox. Called after its commit, never before. */
  ring(inbox: string): void {
    for (const waiter of this.#waiters.get(inbox) ?? []) waiter.wake("rung");
  }

  /** Mail may have arrived anywhere: a broadcast. */
  ringAll(): void {
    for (const waiters of this.#waiters.values()) for (const waiter of waiters) waiter.wake("rung");
  }

  /** Ends every wait, now and later: the node shuts down. */
  drain(): void {
    this.#draining = true;
    for (const waiters of this.#waiters.values()) for (const waiter of waiters) waiter.wake("draining");
  }

  /** Listen first, then read: what rings in between is remembered until wait() is called. */
  listen(inbox: string): Listener {
    return new Listener(
      (waiter) => {
        const waiters = this.#waiters.get(inbox) ?? new Set();
        this.#waiters.set(inbox, waiters.add(waiter));
        this.#count++;
      },
      (waiter) => {
        const waiters = this.#waiters.get(inbox);
        if (!waiters?.delete(waiter)) return;
        this.#count--;
        if (waiters.size === 0) this.#waiters.delete(inbox);
      },
      () => this.#draining,
    );
  }
}

/** One pull at the door of one inbox. */
export class Listener implements Waiter {
  readonly #leave: (waiter: Waiter) => void;
  readonly #draining: () => boolean;
  #rung = false;
  #resolve: ((why: Wake) => void) | undefined;

  constructor(enter: (waiter: Waiter) => void, leave: (waiter: Waiter) => void, draining: () => boolean) {
    this.#leave = leave;
    this.#draining = draining;
    enter(this);
  }

  wake(why: Wake): void {
    if (this.#resolve !== undefined) this.#resolve(why);
    else this.#rung = true;
  }

  /** Until the bell rings, `ms` milliseconds passed, the caller is gone or the node drains. */
  wait(ms: number, gone: AbortSignal): Promise<Wake> {
    if (this.#draining()) return Promise.resolve("draining");
    if (gone.aborted) return Promise.resolve("gone");
    if (this.#rung) {
      this.#rung = false;
      return Promise.resolve("rung");
    }
    return new Promise((resolve) => {
      const onGone = () => settle("gone");
      const settle = (why: Wake) => {
        clearTimeout(timer);
        gone.removeEventListener("abort", onGone);
        this.#resolve = undefined;
        resolve(why);
      };
      const timer = setTimeout(settle, ms, "time");
      gone.addEventListener("abort", onGone);
      this.#resolve = settle;
    });
  }

  close(): void {
    this.#leave(this);
  }
}
