/**
 * A store of any engine in the hands of a test: a clock that the test owns, requests with everything usual filled in,
 * and the same data opened again. It asserts nothing and knows no engine.
 */
import { createHash, randomUUID } from "node:crypto";
import { onTestFinished } from "vitest";
import { BusError, type Refusal } from "#dist/errors.js";
import type { DeliveryState, Message, MessageView, Receipt } from "#dist/message.js";
import type {
  Commit,
  CommitObserver,
  HistoryQuery,
  NewMessage,
  Page,
  Pull,
  Pulled,
  Sent,
  Store,
  StoreOptions,
  StorePolicy,
  Taking,
} from "#dist/store.js";

export const NOON = Date.UTC(2030, 0, 1, 12);
export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export interface Opening extends Partial<StorePolicy> {
  readonly clock: StoreOptions["clock"];
  readonly ring?: StoreOptions["ring"];
  readonly observer?: CommitObserver;
}

export interface Opened {
  readonly store: Store;
  /** Opens the same data once more. The store before was closed. */
  reopen(opening: Opening): Promise<Opened>;
}

/** How an engine gives a store that holds nothing yet, and removes its data when the test ends. */
export type OpenStore = (opening: Opening) => Promise<Opened>;

export function storeOptions({ clock, ring, observer, ...policy }: Opening): StoreOptions {
  return {
    clock,
    ring: ring ?? (() => undefined),
    ...(observer && { observer }),
    policy: {
      rateLimit: undefined,
      unknownRecipients: "hold",
      maxHops: 50,
      maxAttempts: 10,
      maxInbox: 100_000,
      retentionMs: 30 * DAY,
      ...policy,
    },
  };
}

/** What a test says of a message; the rest is usual. */
export interface Draft extends Partial<Omit<NewMessage, "key" | "sender" | "recipient">> {
  readonly from?: string;
  readonly to?: string;
  readonly requestId?: string;
}

/** From joe to jack, unless said otherwise. Its id is random, so that no order can come from it. */
export function newMessage({ from = "joe", to = "jack", requestId, ...rest }: Draft = {}): NewMessage {
  const message = {
    id: randomUUID(),
    sender: from,
    recipient: to,
    includeSender: false,
    subject: "",
    body: "",
    inReplyTo: undefined,
    ttlMs: undefined,
    traceparent: undefined,
    ...rest,
  };
  const content = [to, message.subject, message.body, message.inReplyTo, message.includeSender];
  const contentHash = createHash("sha256").update(JSON.stringify(content)).digest();
  return { ...message, key: requestId === undefined ? undefined : { requestId, contentHash } };
}

type PullChoice = Partial<Omit<Pull, "agent" | "taking">>;

export class StoreUnderTest {
  /** What the store's clock says; only the test moves it. */
  now = NOON;
  /** Every inbox that was rung so far, in order. */
  readonly rings: (string | undefined)[] = [];
  /** Every transaction that the store told of. */
  readonly commits: Commit[] = [];
  /** Runs in the middle of each ring. */
  onRing: () => void = () => undefined;
  readonly #open: OpenStore;
  #policy: Partial<StorePolicy>;
  #opened: Opened | undefined;

  constructor(open: OpenStore, policy: Partial<StorePolicy>) {
    this.#open = open;
    this.#policy = policy;
  }

  get store(): Store {
    if (this.#opened === undefined) throw new Error("the store is not open yet");
    return this.#opened.store;
  }

  async begin(): Promise<this> {
    this.#opened = await this.#open(this.#opening());
    onTestFinished(() => this.store.close());
    return this;
  }

  /** Closes, then opens the same data, with another policy if the test says so. */
  async restart(policy = this.#policy): Promise<void> {
    const opened = this.#opened;
    if (opened === undefined) throw new Error("the store is not open yet");
    await opened.store.close();
    this.#policy = policy;
    this.#opened = await opened.reopen(this.#opening());
  }

  later(ms: number): void {
    this.now += ms;
  }

  /** One batch. */
  batch(...drafts: Draft[]): Promise<readonly (Sent | BusError)[]> {
    return this.store.send(drafts.map(newMessage));
  }

  /** One message that the store must accept. */
  async send(draft: Draft = {}): Promise<Sent> {
    return accepted((await this.batch(draft))[0]);
  }

  /** One message that the store must refuse. */
  async refusal(draft: Draft): Promise<Refusal> {
    return refused((await this.batch(draft))[0]);
  }

  /** One message for each body, one after the other. Resolves to their ids. */
  async post(to: string, ...bodies: string[]): Promise<string[]> {
    const ids: string[] = [];
    for (const body of bodies) ids.push((await this.send({ to, body })).id);
    return ids;
  }

  pull(agent: string, taking: Taking, choice: PullChoice = {}): Promise<Pulled> {
    const usual = { maxMessages: 50, maxBytes: 1024 * 1024, maxBodyBytes: undefined, requestId: undefined };
    return this.store.pull({ agent, taking, leaseId: randomUUID(), ...usual, ...choice });
  }

  look(agent: string, choice?: PullChoice): Promise<Pulled> {
    return this.pull(agent, { kind: "look" }, choice);
  }

  read(agent: string, choice?: PullChoice): Promise<Pulled> {
    return this.pull(agent, { kind: "read" }, choice);
  }

  hold(agent: string, ms: number, choice?: PullChoice): Promise<Pulled> {
    return this.pull(agent, { kind: "hold", ms }, choice);
  }

  /** A leasing pull that must find something. */
  async lease(agent: string, ms: number, choice?: PullChoice): Promise<Leased> {
    return leasedOf(await this.pull(agent, { kind: "lease", ms }, choice));
  }

  /** Leases what waits and lets the lease run out, so many times. */
  async wearOut(agent: string, times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      await this.lease(agent, MINUTE);
      this.later(MINUTE);
    }
  }

  async register(...agents: string[]): Promise<void> {
    for (const agent of agents) await this.store.registerAgent(agent, undefined);
  }

  /** Does what the bus does by itself, until there is nothing more to do. */
  async untilDone(chore: "sweep" | "index" | "retain"): Promise<void> {
    while (await this.store[chore]());
  }

  /** A page of an inbox's history, unless asked otherwise. */
  history(agent: string, query: Partial<HistoryQuery> = {}): Promise<Page<MessageView>> {
    const all = { peer: undefined, inReplyTo: undefined, text: undefined, since: undefined, until: undefined };
    const page = { box: "INBOX", limit: 100, after: undefined, maxBodyBytes: 1024 } as const;
    return this.store.listMessages({ agent, ...all, ...page, ...query });
  }

  /** Of a message in the eyes of one agent. */
  async state(agent: string, id: string | undefined): Promise<DeliveryState | undefined> {
    return (await this.store.getMessage(agent, id ?? ""))?.state;
  }

  /** What became of a message in one inbox. */
  async receipt(id: string | undefined, recipient: string): Promise<Receipt> {
    const page = await this.store.getReceipt(id ?? "", 1000, undefined);
    return present(page?.items.find((receipt) => receipt.recipient === recipient));
  }

  /** Names of the agents that a plain list shows. */
  async registered(): Promise<string[]> {
    const query = { text: "", includeUnregistered: false, limit: 1000, after: undefined };
    return (await this.store.listAgents(query)).items.map(({ name }) => name);
  }

  #opening(): Opening {
    const ring = (inbox: string | undefined) => {
      this.rings.push(inbox);
      this.onRing();
    };
    const observer = { committed: (commit: Commit) => void this.commits.push(commit), commitFailed: () => undefined };
    return { ...this.#policy, clock: () => this.now, ring, observer };
  }
}

/** A fresh store at noon. It is closed when the test ends. */
export function begin(open: OpenStore, policy: Partial<StorePolicy> = {}): Promise<StoreUnderTest> {
  return new StoreUnderTest(open, policy).begin();
}

export interface Leased extends Pulled {
  readonly leaseId: string;
  readonly expireAt: number;
}

export function leasedOf(pulled: Pulled): Leased {
  const { id, expireAt } = present(pulled.lease);
  return { ...pulled, leaseId: id, expireAt };
}

export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("what the test expects to be there is absent");
  return value;
}

export function accepted(outcome: Sent | BusError | undefined): Sent {
  if (outcome instanceof BusError) throw outcome;
  return present(outcome);
}

export function refused(outcome: Sent | BusError | undefined): Refusal {
  if (outcome instanceof BusError) return outcome.refusal;
  throw new Error(`accepted, though it should have been refused: ${JSON.stringify(outcome)}`);
}

/** What a thrown BusError must look like. */
export function refusing(reason: Refusal["reason"]): object {
  return { name: "BusError", refusal: { reason } };
}

export function bodies({ messages }: { readonly messages: readonly Message[] }): string[] {
  return messages.map(({ body }) => body);
}

export function ids({ messages }: { readonly messages: readonly Message[] }): string[] {
  return messages.map(({ id }) => id);
}
