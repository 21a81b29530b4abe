/**
 * What senders and workers may rely on whatever the wall clock does, measured in the time that really passed: no lease
 * and no window lasts longer than its own length, and as long as the clock does not leap forward none is shorter.
 */
import { BusError } from "#dist/errors.js";
import { newMessageId } from "#dist/message-id.js";
import type { RateLimit } from "#dist/rate-limit.js";
import type { Host } from "./host.ts";

/** Something that began at that time, after so many leaps of the clock. */
interface Begun {
  readonly since: number;
  readonly leaps: number;
}

interface Held extends Begun {
  readonly ms: number;
}

export class Watch {
  readonly #host: Host;
  readonly #limit: RateLimit;
  readonly #ids = new Set<string>();
  readonly #story: string[] = [];
  /** When what was sent was stored; times here are of the time that really passed. */
  readonly #stored: Begun[] = [];
  /** What waits in the inbox, and the lease that was the last to hold it. */
  readonly #waiting = new Map<string, Held | undefined>();
  /** What began before a restart may begin anew with it, when the clock was set back. */
  #restartedAt = Number.NEGATIVE_INFINITY;
  #lastTimestamp = 0;
  readonly counts = { stored: 0, limited: 0, handedOut: 0, redelivered: 0, leaps: 0, setBack: 0 };

  constructor(host: Host, limit: RateLimit) {
    this.#host = host;
    this.#limit = limit;
  }

  /** What happened, a line each, with the milliseconds that had really passed and the bus's own time. */
  get story(): string {
    return this.#story.join("\n");
  }

  pass(ms: number): void {
    this.#host.pass(ms);
    this.#tell(`${ms} ms pass`);
  }

  jump(ms: number): void {
    const before = this.#host.store.now;
    this.#host.jump(ms);
    this.#tell(`the wall clock is set by ${ms} ms`);
    if (this.#host.store.now < before) throw new Error("the clock of a node went back");
    this.#noteLeap(before);
  }

  async restart(): Promise<void> {
    const before = this.#host.store.now;
    await this.#host.restart();
    this.#tell("another node takes over");
    this.#noteLeap(before);
    this.#restartedAt = this.#host.elapsed;
    if (this.#host.store.now < before) this.counts.setBack += 1;
    this.#lastTimestamp = Math.min(this.#lastTimestamp, this.#host.store.now);
  }

  async send(): Promise<void> {
    const { store, elapsed } = this.#host;
    const usual = { sender: "sender", recipient: "worker", includeSender: false, subject: "", body: "" };
    const absent = { inReplyTo: undefined, ttlMs: undefined, traceparent: undefined, key: undefined };
    const [outcome] = await store.store.send([{ id: this.#newId(), ...usual, ...absent }]);
    if (outcome === undefined) throw new Error("no outcome");
    const { count, windowMs } = this.#limit;
    if (outcome instanceof BusError) {
      const { reason, retryAfterMs = Number.POSITIVE_INFINITY } = outcome.refusal;
      this.#tell(`a Send is refused: ${reason}, again in ${retryAfterMs} ms`);
      this.counts.limited += 1;
      if (retryAfterMs > windowMs) throw new Error(`to wait ${retryAfterMs} ms for a window of ${windowMs} ms`);
      const recent = this.#stored.filter(({ since }) => Math.max(since, this.#restartedAt) > elapsed - windowMs);
      if (recent.length < count) throw new Error(`refused after ${recent.length} messages in ${windowMs} ms`);
      return;
    }
    this.#tell(`a Send is stored: ${outcome.id}`);
    this.counts.stored += 1;
    if (outcome.timestamp < this.#lastTimestamp) throw new Error("a later message has an earlier time");
    this.#lastTimestamp = outcome.timestamp;
    this.#waiting.set(outcome.id, undefined);
    const recent = this.#stored.filter((one) => one.since > elapsed - windowMs && !this.#leaptSince(one));
    if (recent.length >= count) throw new Error(`stored after ${recent.length} messages in ${windowMs} ms`);
    this.#stored.push({ since: elapsed, leaps: this.counts.leaps });
  }

  /** By one of many workers, each time another one. */
  async pull(ms: number, maxMessages: number): Promise<void> {
    const { store, elapsed } = this.#host;
    const { messages, lease } = await store.store.pull({
      agent: "worker",
      taking: { kind: "lease", ms },
      maxMessages,
      maxBytes: 1_000_000,
      maxBodyBytes: undefined,
      requestId: undefined,
      leaseId: this.#newId(),
    });
    const ids = messages.map(({ id }) => id);
    this.#tell(`a pull for ${ms} ms gets ${ids}`);
    if (lease !== undefined && lease.expireAt !== store.now + ms) throw new Error("the lease has another length");
    const overdue = [...this.#waiting].filter(([, held]) => {
      return held === undefined || Math.max(held.since, this.#restartedAt) + held.ms <= elapsed;
    });
    const missing = overdue.filter(([id]) => !ids.includes(id));
    if (missing.length > 0 && ids.length < maxMessages) throw new Error(`held too long: ${missing.map(([id]) => id)}`);
    for (const id of ids) {
      const held = this.#waiting.get(id);
      const tooEarly = held !== undefined && elapsed < held.since + held.ms && !this.#leaptSince(held);
      if (tooEarly || !this.#waiting.has(id)) throw new Error(`${id} was handed out while another worker held it`);
      this.#waiting.set(id, { since: elapsed, leaps: this.counts.leaps, ms });
      this.counts.handedOut += 1;
      if (held !== undefined) this.counts.redelivered += 1;
    }
  }

  #noteLeap(before: number): void {
    if (this.#host.store.now > before) this.counts.leaps += 1;
  }

  /** The clock was set forward since: it may have ended sooner than promised. */
  #leaptSince({ leaps }: Begun): boolean {
    return leaps < this.counts.leaps;
  }

  #newId(): string {
    const id = newMessageId(this.#host.store.now);
    if (this.#ids.has(id)) throw new Error(`the id ${id} was made twice`);
    this.#ids.add(id);
    return id;
  }

  #tell(what: string): void {
    this.#story.push(`  ${this.#host.elapsed} ms (${new Date(this.#host.store.now).toISOString()}): ${what}`);
  }
}
