/**
 * This side of the writer thread: opens it, hands it one batch at a time, closes it. It knows neither SQL nor verbs.
 */
import { Worker } from "node:worker_threads";
import { BusError } from "../../errors.ts";
import type { Batch, Outcome, Reply, WriterData } from "./writes.ts";

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

export class Writer {
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  #waiting: Waiting | undefined;
  #failure: Error | undefined;

  private constructor(data: WriterData) {
    this.#worker = new Worker(new URL("./writer-thread.js", import.meta.url), { workerData: data });
    this.#worker.on("message", (reply: Reply) => this.#settle()?.resolve(reply));
    this.#worker.on("error", (error) => this.#fail(error instanceof Error ? error : new Error(String(error))));
    this.#ended = new Promise((resolve) => {
      this.#worker.on("exit", () => {
        this.#fail(new Error("the writer thread ended"));
        resolve();
      });
    });
  }

  /** Throws what made the database impossible to open: an Error with advice for a person. */
  static async open(data: WriterData): Promise<Writer> {
    const writer = new Writer(data);
    await writer.#ask(undefined);
    return writer;
  }

  /** One batch at a time: the next only when this one is settled. Throws STORAGE_FULL, STORE_UNREACHABLE. */
  async commit(batch: Batch): Promise<readonly Outcome[]> {
    const reply = await this.#ask(batch).catch((cause: unknown): Reply => {
      throw unreachable(cause);
    });
    if ("outcomes" in reply) return reply.outcomes;
    if ("lost" in reply) throw new BusError(reply.lost, { cause: new Error(reply.cause) });
    throw new Error("the writer thread answered out of turn");
  }

  async close(): Promise<void> {
    if (this.#failure === undefined) this.#worker.postMessage("close");
    await this.#ended;
  }

  #ask(batch: Batch | undefined): Promise<Reply> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      if (batch !== undefined) this.#worker.postMessage(batch);
    });
  }

  #settle(): Waiting | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#settle()?.reject(this.#failure);
  }
}

function unreachable(cause: unknown): BusError {
  return new BusError(
    {
      reason: "STORE_UNREACHABLE",
      advice:
        "the bus lost its storage and must be restarted; whether this was stored is unknown: repeat it with the same request_id",
      retryAfterMs: 1000,
    },
    { cause },
  );
}
