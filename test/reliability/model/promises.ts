/**
 * Promises of the bus that need no model: judged on the answers of the store alone. What was acknowledged is never
 * handed out again, and an accepted message is somewhere until retention.
 */
import type { Receipt } from "#dist/message.js";
import { REPEAT_READ_MS } from "#dist/message.js";
import type { Acked, Pulled, Sent } from "#dist/store.js";
import type { Outcome, Request } from "./requests.ts";
import type { ReusedStore } from "./reused-stores.ts";

/** By message: when its deliveries ended, undefined as long as one has not. */
export type Ends = ReadonlyMap<string, number | undefined>;

export class Promises {
  readonly #real: ReusedStore;
  /** Accepted and not gone by retention. */
  readonly #accepted = new Set<string>();
  /** Inbox and message that were acknowledged or marked read. */
  readonly #done = new Set<string>();
  /** Agent, request_id and message: when a pull with mark_read gave it first; the later time, if the clock was set back. */
  readonly #firstGiven = new Map<string, number>();

  constructor(real: ReusedStore) {
    this.#real = real;
  }

  note(request: Request, outcome: Outcome): void {
    if (!("answer" in outcome)) return;
    if (request.verb === "send") {
      for (const sent of outcome.answer as (Sent | { refused: string })[]) {
        if ("id" in sent && !sent.deduplicated && !this.#accepted.has(sent.id)) this.#accepted.add(sent.id);
      }
    } else if (request.verb === "ack") {
      const [agent, ids] = request.args;
      const { unknown, stale } = outcome.answer as Acked;
      const counted = ids.filter((id) => !unknown.includes(id) && !stale.includes(id));
      for (const id of counted) this.#done.add(`${agent} ${id}`);
    } else if (request.verb === "pull") {
      const [{ agent, taking, requestId }] = request.args;
      for (const { id } of (outcome.answer as Pulled).messages) {
        const [mail, repeat] = [`${agent} ${id}`, `${agent} ${requestId} ${id}`];
        const reads = taking.kind === "read" || taking.kind === "hold";
        if (this.#done.has(mail)) this.#checkRepeat(mail, reads && requestId !== undefined ? repeat : undefined);
        else if (reads) this.#firstGiven.set(repeat, Math.max(this.#firstGiven.get(repeat) ?? 0, this.#real.now));
        if (taking.kind === "read") this.#done.add(mail);
      }
    }
  }

  /** Only mark_read, repeated with its request_id within an hour, may give again what is done. */
  #checkRepeat(mail: string, repeat: string | undefined): void {
    const first = repeat === undefined ? undefined : this.#firstGiven.get(repeat);
    if (first !== undefined && this.#real.now < first + REPEAT_READ_MS) return;
    throw new Error(`handed out again after it was acknowledged: ${mail}`);
  }

  async checkPresent(): Promise<void> {
    for (const id of this.#accepted) {
      if ((await this.#real.store.getReceipt(id, 1, undefined)) === undefined) throw new Error(`${id} is lost`);
    }
  }

  async ends(): Promise<Ends> {
    const ends = new Map<string, number | undefined>();
    for (const id of this.#accepted) {
      const receipts = (await this.#real.store.getReceipt(id, 1000, undefined))?.items ?? [];
      ends.set(id, receipts.reduce<number | undefined>(later, 0));
    }
    return ends;
  }

  /** Whatever went by retention had ended long enough before. */
  async checkGone(ends: Ends, retentionMs: number): Promise<void> {
    for (const [id, end] of ends) {
      if ((await this.#real.store.getReceipt(id, 1, undefined)) !== undefined) continue;
      if (end === undefined || end > this.#real.now - retentionMs) throw new Error(`${id} was deleted too early`);
      this.#accepted.delete(id);
    }
  }
}

function later(end: number | undefined, { readAt, deadAt }: Receipt): number | undefined {
  const own = readAt ?? deadAt;
  return end === undefined || own === undefined ? undefined : Math.max(end, own);
}
