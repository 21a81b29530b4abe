/**
 * Gathers writes into transactions: whatever arrived while the last commit ran is the next batch. No timer, so a lone
 * writer waits for nobody. It knows nothing of what is written or where.
 */

export interface GroupCommitOptions<Write, Outcome> {
  /** Commits one batch; one outcome a write, in order. When it rejects, every write of the batch fails with that. */
  readonly commit: (batch: readonly Write[]) => Promise<readonly Outcome[]>;
  /** Bytes, about: keeps one transaction from growing without bound. */
  readonly weigh: (write: Write) => number;
}

const MAX_BATCH_WRITES = 1000;
const MAX_BATCH_BYTES = 8 * 1024 * 1024;

interface Queued<Write, Outcome> {
  readonly write: Write;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (reason: unknown) => void;
}

export class GroupCommit<Write, Outcome> {
  readonly #options: GroupCommitOptions<Write, Outcome>;
  #queue: Queued<Write, Outcome>[] = [];
  #committing = false;
  #idle: (() => void)[] = [];

  constructor(options: GroupCommitOptions<Write, Outcome>) {
    this.#options = options;
  }

  /** Settles after the commit that this write is part of. */
  submit(write: Write): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ write, resolve, reject });
      this.#start();
    });
  }

  /** Resolves once nothing waits and nothing runs. */
  drained(): Promise<void> {
    if (!this.#committing && this.#queue.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #start(): void {
    if (this.#committing) return;
    this.#committing = true;
    // Not a microtask: requests that are readable now would wait for the next batch, and a busy loop would starve.
    setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    const batch = this.#takeBatch();
    try {
      const outcomes = await this.#options.commit(batch.map(({ write }) => write));
      for (const [i, { resolve }] of batch.entries()) resolve(outcomes[i] as Outcome);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    this.#committing = false;
    if (this.#queue.length > 0) this.#start();
    else for (const resolve of this.#idle.splice(0)) resolve();
  }

  #takeBatch(): Queued<Write, Outcome>[] {
    let count = 0;
    let bytes = 0;
    for (const { write } of this.#queue) {
      bytes += this.#options.weigh(write);
      if (count === MAX_BATCH_WRITES || (count > 0 && bytes > MAX_BATCH_BYTES)) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }
}
