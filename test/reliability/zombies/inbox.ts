/** One inbox with several workers at it; every answer of the store is shown to the referee. */
import { BusError } from "#dist/errors.js";
import type { LeaseModified } from "#dist/store.js";
import type { ReusedStore } from "../model/reused-stores.ts";
import { Referee } from "./referee.ts";

export type Part = "all" | "first" | "last";
export interface Figures {
  count(what: string, which: string, times?: number): void;
}

let inboxes = 0;

export class Inbox {
  readonly #real: ReusedStore;
  readonly #figures: Figures;
  readonly #referee = new Referee();
  readonly #name: string;
  readonly #began: number;
  readonly #story: string[] = [];
  /** By worker: its leases, the last one at the end. */
  readonly #leases = new Map<string, string[]>();
  #lastLease = 0;

  private constructor(real: ReusedStore, figures: Figures) {
    inboxes += 1;
    this.#real = real;
    this.#figures = figures;
    this.#name = `inbox-${inboxes}`;
    this.#began = real.now;
  }

  static async withMail(real: ReusedStore, count: number, figures: Figures): Promise<Inbox> {
    const inbox = new Inbox(real, figures);
    const ids = Array.from({ length: count }, (_, i) => `${inbox.#name}-m${i + 1}`);
    const usual = { sender: "sender", recipient: inbox.#name, includeSender: false, subject: "", body: "" };
    const absent = { inReplyTo: undefined, ttlMs: undefined, traceparent: undefined, key: undefined };
    await real.store.send(ids.map((id) => ({ id, ...usual, ...absent })));
    for (const id of ids) inbox.#referee.arrived(id);
    return inbox;
  }

  /** What happened, a line for each call, with the milliseconds since the beginning. */
  get story(): string {
    return this.#story.join("\n");
  }

  sleep(ms: number): void {
    this.#real.now += ms;
  }

  async pull(worker: string, ms: number, maxMessages: number): Promise<void> {
    this.#lastLease += 1;
    const leaseId = `${this.#name}-lease${this.#lastLease}`;
    const free = this.#referee.free(this.#real.now);
    const { messages, lease } = await this.#real.store.pull({
      agent: this.#name,
      taking: { kind: "lease", ms },
      maxMessages,
      maxBytes: 1_000_000,
      maxBodyBytes: undefined,
      requestId: undefined,
      leaseId,
    });
    const ids = messages.map(({ id }) => id);
    this.#tell(worker, `pulls ${maxMessages} for ${ms} ms`, ids);
    if (ids.length !== Math.min(free.length, maxMessages)) throw new Error(`handed out ${ids} of ${free}`);
    if (lease === undefined) return;
    const before = this.#referee.takeovers;
    this.#referee.granted(this.#real.now, { leaseId: lease.id, expireAt: lease.expireAt, messages });
    this.#figures.count("taken over", "messages", this.#referee.takeovers - before);
    this.#leases.set(worker, [...(this.#leases.get(worker) ?? []), leaseId]);
  }

  /** With the worker's last lease, or one before it. */
  async ack(worker: string, part: Part, older: number): Promise<void> {
    const leaseId = this.#leaseOf(worker, older);
    if (leaseId === undefined) return;
    const ids = this.#part(leaseId, part);
    const { ackedCount, unknown, stale } = await this.#real.store.ack(this.#name, ids, leaseId);
    this.#tell(worker, `acks ${ids} with ${leaseId}`, { ackedCount, unknown, stale });
    const expected = this.#referee.acked(leaseId, ids);
    same("stale", stale, expected);
    same("acked, unknown", [ackedCount, unknown], [ids.length - expected.length, []]);
    this.#figures.count("ack", "counted", ackedCount);
    this.#figures.count("ack", "of a zombie, stale", stale.length);
  }

  async extend(worker: string, ms: number): Promise<void> {
    const leaseId = this.#leaseOf(worker, 0);
    if (leaseId === undefined) return;
    const { now } = this.#real;
    const all = this.#referee.handedOut(leaseId);
    const lost = this.#referee.lost(now, leaseId, all);
    const answer = await this.#real.store
      .extendLease(this.#name, leaseId, ms)
      .catch((error: unknown): LeaseModified => {
        if (!(error instanceof BusError) || error.refusal.reason !== "STALE_LEASE") throw error;
        return { expireAt: undefined, stale: all };
      });
    this.#tell(worker, `prolongs ${leaseId} by ${ms} ms`, answer);
    same("stale", answer.stale, lost);
    same("the end of the lease", answer.expireAt, lost.length < all.length ? now + ms : undefined);
    this.#referee.extended(now, leaseId, now + ms);
    this.#figures.count("prolonged", answer.expireAt === undefined ? "by a zombie, refused" : "in time");
  }

  async giveBack(worker: string, part: Part | undefined): Promise<void> {
    const leaseId = this.#leaseOf(worker, 0);
    if (leaseId === undefined) return;
    const { now } = this.#real;
    const ids = part === undefined ? undefined : this.#part(leaseId, part);
    const all = ids ?? this.#referee.handedOut(leaseId);
    const { stale } = await this.#real.store.giveBack(this.#name, leaseId, ids);
    this.#tell(worker, `gives back ${ids ?? "all"} of ${leaseId}`, { stale });
    same("stale", stale, this.#referee.lost(now, leaseId, all));
    this.#referee.gaveBack(now, leaseId, all);
    this.#figures.count("given back", "held", all.length - stale.length);
    this.#figures.count("given back", "by a zombie, stale", stale.length);
  }

  /** Once every lease has run out, what nobody acked is there, and nothing else. */
  async settle(): Promise<void> {
    this.sleep(86_400_000);
    const { unacked } = this.#referee;
    await this.pull("the last", 1, 1000);
    same("what is left", this.#part(this.#leaseOf("the last", 0) ?? "", "all"), unacked);
    for (const id of unacked) await this.#real.store.ack(this.#name, [id], undefined);
  }

  #leaseOf(worker: string, older: number): string | undefined {
    const leases = this.#leases.get(worker) ?? [];
    return leases[Math.max(0, leases.length - 1 - older)];
  }

  #part(leaseId: string, part: Part): readonly string[] {
    const ids = this.#referee.handedOut(leaseId);
    if (part === "all") return ids;
    return part === "first" ? ids.slice(0, 1) : ids.slice(-1);
  }

  #tell(worker: string, what: string, answer: unknown): void {
    this.#story.push(`  ${this.#real.now - this.#began} ms: ${worker} ${what} -> ${JSON.stringify(answer)}`);
  }
}

function same(what: string, actual: unknown, expected: unknown): void {
  const text = (value: unknown) => JSON.stringify(Array.isArray(value) ? [...value].sort() : value);
  if (text(actual) !== text(expected)) throw new Error(`${what}: ${text(actual)}, not ${text(expected)}`);
}
