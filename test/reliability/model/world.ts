/**
 * A real store and its model, side by side: whatever is asked of one is asked of the other, and the outcomes are
 * compared. It keeps what callers have learned, for requests to come, and tells what happened.
 */
import { type Agent, BUS, type DeliveryState } from "#dist/message.js";
import type { HistoryQuery, Page, Pull, Pulled, Sent } from "#dist/store.js";
import { compare } from "./compare.ts";
import { learnBounce } from "./ending.ts";
import type { Figures } from "./figures.ts";
import { ModelBus } from "./model-bus.ts";
import { Promises } from "./promises.ts";
import { ask, type Outcome, type Request, textOf } from "./requests.ts";
import type { ReusedStore } from "./reused-stores.ts";
import { Seen } from "./seen.ts";

export const NOON = Date.UTC(2030, 0, 1, 12);
const EVERYBODY = { text: "", includeUnregistered: true, limit: 1000, after: undefined };
const UNFILTERED = { peer: undefined, inReplyTo: undefined, text: undefined, since: undefined, until: undefined };
const HISTORY = { ...UNFILTERED, limit: 1000, after: undefined, maxBodyBytes: 20 };
const LOOK = {
  taking: { kind: "look" },
  maxMessages: 1000,
  maxBytes: 1_000_000,
  maxBodyBytes: undefined,
  requestId: undefined,
} as const;

export interface KnownLease {
  readonly id: string;
  readonly agent: string;
  readonly messageIds: readonly string[];
}

/** A page of history that can be gone on from: by the store's key, and by the model's. */
export interface Bookmark {
  readonly query: HistoryQuery;
  readonly key: string;
  readonly modelKey: string | undefined;
}

export class World {
  readonly #real: ReusedStore;
  readonly #model: ModelBus;
  readonly #promises: Promises;
  readonly #seen = new Seen();
  readonly #figures: Figures;
  readonly #story: string[] = [];
  #lastId = 0;
  // What callers have learned, oldest first.
  readonly messageIds: string[] = [];
  readonly leases: KnownLease[] = [];
  readonly bookmarks: Bookmark[] = [];
  readonly requests: { readonly request: Request; readonly at: number }[] = [];
  /** By agent: what its last pull gave. */
  readonly pulled = new Map<string, readonly string[]>();

  private constructor(real: ReusedStore, figures: Figures) {
    this.#real = real;
    this.#model = new ModelBus(real.policy);
    this.#model.mail.now = NOON;
    this.#promises = new Promises(real);
    this.#figures = figures;
  }

  static async begin(real: ReusedStore, figures: Figures): Promise<World> {
    await real.begin(NOON);
    return new World(real, figures);
  }

  get now(): number {
    return this.#real.now;
  }

  /** What happened, a line for each request. */
  get story(): string {
    return this.#story.join("\n");
  }

  /** As a node makes it, for one try of one message or pull. */
  newId(kind: "m" | "lease"): string {
    this.#lastId += 1;
    return `${kind}${this.#lastId}`;
  }

  /** Whose inbox has mail in this state. */
  inboxesWith(state: DeliveryState): string[] {
    const { deliveries } = this.#model.mail;
    return deliveries.filter((one) => this.#model.mail.is(one, state)).map(({ inbox }) => inbox);
  }

  advance(ms: number): void {
    this.#real.now += ms;
    this.#model.mail.now += ms;
    this.#story.push(`  (${ms} ms later)`);
  }

  /** To the instant at which the next lease or ttl ends, or so close to it. */
  advanceToNextEnd(offsetMs: number): void {
    const ends = this.#model.mail.deliveries.flatMap(({ lease, expireAt }) => [lease?.until ?? 0, expireAt ?? 0]);
    const next = Math.min(...ends.filter((end) => end > this.now));
    if (Number.isFinite(next)) this.advance(next - this.now + offsetMs);
  }

  /** The process ends and starts again; meanwhile its clock was set back by so much. */
  async restart(setBackMs: number): Promise<void> {
    this.#story.push(`  (restart; the clock is set back by ${setBackMs} ms)`);
    this.#figures.count("restart", setBackMs > 0 ? "clock set back" : "same clock");
    await this.#real.restart(this.now - setBackMs);
    this.#model.restart(this.now);
    this.#seen.checkWritten(await this.#real.store.listAgents(EVERYBODY));
    await this.#checkAgents();
  }

  async perform(request: Request): Promise<void> {
    await this.performAtOnce([request]);
  }

  /** All are under way before the first is answered; the store takes them one after the other all the same. */
  async performAtOnce(requests: readonly Request[]): Promise<void> {
    const unreadBefore = this.#unread();
    this.#real.rings.clear();
    const ends = requests.some(({ verb }) => verb === "retain") ? await this.#promises.ends() : undefined;
    const expected: Outcome[] = [];
    for (const request of requests) expected.push(await ask(this.#model, this.#forModel(request)));
    const outcomes = await Promise.all(requests.map((request) => this.#askStore(request)));
    for (const [i, request] of requests.entries()) {
      const [outcome, model] = [outcomes[i] as Outcome, expected[i] as Outcome];
      this.#story.push(`  ${request.verb} ${textOf(request.args)}\n      -> ${textOf(outcome)}`);
      compare(request, outcome, model, { atOnce: requests.length > 1 });
      this.#figures.outcome(request, outcome);
      this.#promises.note(request, outcome);
      this.#noteSeen(request, outcome);
      this.#learn(request, outcome, model);
    }
    await this.#learnBounces();
    if (ends !== undefined) await this.#promises.checkGone(ends, this.#model.mail.policy.retentionMs);
    const rung = this.#real.rings;
    const silent = [...this.#unread()].filter(([mail, inbox]) => !unreadBefore.has(mail) && !rung.has(inbox));
    if (silent.length > 0 && !rung.has(undefined)) throw new Error(`nobody rang for what is UNREAD now: ${silent}`);
    await this.#checkAgents();
  }

  /** Every view of everything, by everybody. */
  async audit(): Promise<void> {
    const names = [...this.#model.mail.agents.keys(), "nobody"].filter((name) => name !== BUS);
    await this.#compareAll([
      { verb: "agentNames", args: [2] },
      { verb: "listAgents", args: [{ ...EVERYBODY, includeUnregistered: false, limit: 2 }] },
      ...this.messageIds.flatMap((id) => names.map((agent): Request => ({ verb: "getMessage", args: [agent, id] }))),
      ...names.flatMap((agent) => [
        ...(["INBOX", "SENT", "DEAD"] as const).map(
          (box): Request => ({ verb: "listMessages", args: [{ ...HISTORY, agent, box }] }),
        ),
        ...(this.#model.mail.isRegistered(agent) ? [this.#look(agent)] : []),
      ]),
    ]);
    await this.auditReceipts();
  }

  async auditReceipts(): Promise<void> {
    await this.#compareAll(this.messageIds.map((id) => ({ verb: "getReceipt", args: [id, 2, undefined] })));
    await this.#promises.checkPresent();
  }

  #look(agent: string): Request {
    return { verb: "pull", args: [{ ...LOOK, agent, leaseId: this.newId("lease") }] };
  }

  /** Reads only. */
  async #compareAll(requests: readonly Request[]): Promise<void> {
    for (const request of requests) {
      const [outcome, model] = [await ask(this.#real.store, request), await ask(this.#model, request)];
      compare(request, outcome, model);
      this.#noteSeen(request, outcome);
    }
  }

  /** Housekeeping works in slices: each is repeated until there is no more. */
  async #askStore(request: Request): Promise<Outcome> {
    const { verb } = request;
    // A search may find mail a moment later than its Send.
    if (verb === "listMessages" && request.args[0].text !== undefined) while (await this.#real.store.index());
    if (verb !== "sweep" && verb !== "index" && verb !== "retain") return ask(this.#real.store, request);
    while (await this.#real.store[verb]()) this.#figures.count(verb, "another slice");
    return { answer: undefined };
  }

  /** Pages go on by a key of the store's own; the model has its own. */
  #forModel(request: Request): Request {
    if (request.verb !== "listMessages" || request.args[0].after === undefined) return request;
    const [{ after, ...query }] = request.args;
    const same = (one: Bookmark) => one.key === after && textOf(one.query) === textOf(query);
    return { verb: "listMessages", args: [{ ...query, after: this.bookmarks.find(same)?.modelKey }] };
  }

  #learn(request: Request, outcome: Outcome, model: Outcome): void {
    this.requests.push({ request, at: this.now });
    if (!("answer" in outcome)) return;
    const { answer } = outcome;
    if (request.verb === "send") {
      const sent = (answer as (Sent | { refused: string })[]).filter((one) => "id" in one);
      this.messageIds.push(...sent.map(({ id }) => id).filter((id) => !this.messageIds.includes(id)));
    } else if (request.verb === "pull") {
      const { agent } = request.args[0] as Pull;
      const { messages, lease } = answer as Pulled;
      const messageIds = messages.map(({ id }) => id);
      this.pulled.set(agent, messageIds);
      if (lease !== undefined) this.leases.push({ id: lease.id, agent, messageIds });
    } else if (request.verb === "listMessages") {
      const [{ after: _, ...query }] = request.args;
      const [key, modelKey] = [
        (answer as Page<unknown>).next,
        ((model as { answer: unknown }).answer as Page<unknown>).next,
      ];
      const hasMore =
        modelKey !== undefined && this.#model.listMessages({ ...query, after: modelKey }).items.length > 0;
      if (key === undefined && hasMore) throw new Error("the store ends a history that goes on");
      if (key !== undefined) this.bookmarks.push({ query: { ...query, after: undefined }, key, modelKey });
    }
  }

  #noteSeen(request: Request, outcome: Outcome): void {
    this.#seen.note(request, outcome, this.now, (name) => this.#model.mail.agents.has(name));
  }

  async #learnBounces(): Promise<void> {
    for (const bounce of this.#model.takeBounces()) {
      const { id, sender, subject } = bounce.original;
      const query = { ...HISTORY, agent: sender, box: "INBOX" as const, peer: BUS, inReplyTo: id };
      const { items } = await this.#real.store.listMessages({ ...query, maxBodyBytes: 9999 });
      this.#seen.noteMaybe(sender, this.now);
      const [letter] = items;
      if (letter === undefined || items.length > 1)
        throw new Error(`${id} died; it has ${items.length} bounces, not one`);
      if (!letter.subject.startsWith(`Undelivered: ${subject}`))
        throw new Error(`a bounce is called ${letter.subject}`);
      learnBounce(bounce, letter);
      this.messageIds.push(letter.id);
      this.#figures.count("bounce", /^reason: (.*)$/m.exec(letter.body)?.[1] ?? "?");
    }
  }

  /** Deliveries that can be handed out now, with their inboxes. */
  #unread(): Map<unknown, string> {
    const { mail } = this.#model;
    const unread = mail.deliveries.filter((delivery) => mail.is(delivery, "UNREAD"));
    return new Map(unread.map((delivery) => [delivery, delivery.inbox]));
  }

  async #checkAgents(): Promise<void> {
    const request: Request = { verb: "listAgents", args: [EVERYBODY] };
    const outcome = await ask(this.#real.store, request);
    compare(request, outcome, await ask(this.#model, request));
    this.#seen.check((outcome as { answer: unknown }).answer as Page<Agent>);
  }
}
