/**
 * What the clients of a bus that is killed were told, and whether what the bus has in the end agrees with it. "Unknown"
 * is what was never answered: it may be there or not.
 */
import type { Listed } from "../../fixtures/json-calls.ts";

export interface Letter {
  readonly from: string;
  readonly to: string;
  /** The request_id too. */
  readonly subject: string;
  readonly body: string;
}

export interface Verdict {
  readonly ok: number;
  readonly unknown: { stored: number; absent: number };
  readonly lost: string[];
  readonly duplicate: string[];
  readonly unexpected: string[];
  readonly acks: { answered: number; unknown: number };
}

interface Entry {
  readonly letter: Letter;
  /** undefined: never answered. */
  id: string | undefined;
}

export class Book {
  readonly #letters = new Map<string, Entry>();
  /** By message id: when its ack was answered; undefined: it never was. */
  readonly #acks = new Map<string, number | undefined>();
  /** By message id: the mark_read pull whose answer had it. */
  readonly #reads = new Map<string, string>();
  readonly #duplicate: string[] = [];
  readonly #unexpected: string[] = [];
  #tick = 0;

  sending(letter: Letter): void {
    if (!this.#letters.has(letter.subject)) this.#letters.set(letter.subject, { letter, id: undefined });
  }

  sent({ subject }: Letter, id: string, deduplicated: boolean): void {
    const entry = this.#letters.get(subject) as Entry;
    if (entry.id !== undefined && entry.id !== id) this.#duplicate.push(`${subject}: ${entry.id}, repeated ${id}`);
    if (entry.id !== undefined && !deduplicated) this.#duplicate.push(`${subject}: a repeat was not told to be one`);
    entry.id = id;
  }

  /** A moment, to be given with what a pull handed out that began then. */
  now(): number {
    return ++this.#tick;
  }

  handedOut(ids: readonly string[], pullBegan: number): void {
    for (const id of ids) {
      const acked = this.#acks.get(id);
      if (acked !== undefined && acked < pullBegan)
        this.#duplicate.push(`${id}: handed out after its ack was answered`);
    }
  }

  read(ids: readonly string[], requestId: string): void {
    for (const id of ids) {
      const before = this.#reads.get(id);
      if (before !== undefined && before !== requestId)
        this.#duplicate.push(`${id}: read by ${before} and ${requestId}`);
      this.#reads.set(id, requestId);
    }
  }

  acking(ids: readonly string[]): void {
    for (const id of ids) if (!this.#acks.has(id)) this.#acks.set(id, undefined);
  }

  acked(ids: readonly string[], stale: readonly string[], unknown: readonly string[]): void {
    for (const id of unknown) this.#unexpected.push(`${id}: unknown at its ack`);
    const not = new Set([...stale, ...unknown]);
    for (const id of ids) if (!not.has(id)) this.#acks.set(id, this.#acks.get(id) ?? ++this.#tick);
  }

  unexpected(what: string): void {
    this.#unexpected.push(what);
  }

  /** `stored` is the whole history; `reading` names the inboxes that are read by mark_read alone. */
  judge(stored: readonly Listed[], reading: ReadonlySet<string>): Verdict {
    const lost: string[] = [];
    const duplicate = [...this.#duplicate];
    const unexpected = [...this.#unexpected];
    const found = new Map<string, Listed>();
    for (const message of stored) {
      const { subject, id, state } = message;
      if (found.has(subject)) duplicate.push(`${subject}: stored as ${found.get(subject)?.id} and ${id}`);
      found.set(subject, message);
      const letter = this.#letters.get(subject)?.letter;
      if (letter === undefined) unexpected.push(`${id} "${subject}": nobody sent it`);
      else if (letter.from !== message.from || letter.to !== message.to || letter.body !== message.body) {
        unexpected.push(`${id} "${subject}": not as it was sent`);
      }
      const read = reading.has(message.to) ? this.#reads.has(id) : this.#acks.get(id) !== undefined;
      if (read && state !== "DELIVERY_STATE_READ") lost.push(`${id}: its ack or read was undone, it is ${state}`);
      if (state === "DELIVERY_STATE_READ") {
        if (reading.has(message.to) && !read) lost.push(`${id}: READ, and handed out to nobody`);
        if (!reading.has(message.to) && !this.#acks.has(id)) unexpected.push(`${id}: READ, and acked by nobody`);
      } else if (state === "DELIVERY_STATE_DEAD") unexpected.push(`${id}: DEAD, ${message.deadReason}`);
    }
    let ok = 0;
    const unknown = { stored: 0, absent: 0 };
    for (const [subject, { id }] of this.#letters) {
      const there = found.get(subject);
      if (id === undefined) unknown[there === undefined ? "absent" : "stored"]++;
      else if (there?.id === id) ok++;
      else lost.push(`${subject}: answered as ${id}, stored ${there === undefined ? "nowhere" : `as ${there.id}`}`);
    }
    const acks = [...this.#acks.values()];
    const answered = acks.filter((at) => at !== undefined).length;
    return { ok, unknown, lost, duplicate, unexpected, acks: { answered, unknown: acks.length - answered } };
  }
}
