/**
 * The mail of the model: plain arrays and maps, and the state of a delivery. The model is written from DESIGN's text,
 * slow and one rule in one place; "Reading:" marks where the text leaves a choice. It knows no engine, no disk and no
 * clock: whoever uses it sets `now`.
 */
import type { Reason } from "#dist/errors.js";
import type { DeadReason, DeliveryState, Message } from "#dist/message.js";
import type { NewMessage, StorePolicy } from "#dist/store.js";

export const HOUR = 3_600_000;

export interface ModelAgent {
  readonly name: string;
  description: string;
  /** undefined: mail waits for this name, or it was removed. */
  registeredAt: number | undefined;
}

export interface ModelMessage {
  readonly id: string;
  readonly sender: string;
  /** An agent's name, or ALL. */
  readonly recipient: string;
  readonly subject: string;
  readonly body: string;
  readonly inReplyTo: string | undefined;
  readonly traceparent: string | undefined;
  readonly hops: number;
  readonly at: number;
  /** Place among all messages, in the order of their commits. */
  readonly order: number;
  /** Inboxes that it reached. */
  recipientCount: number;
  /** Its sender has the letter about its death. */
  bounced: boolean;
}

/** One message in one inbox. */
export interface Delivery {
  readonly message: ModelMessage;
  readonly inbox: string;
  /** Place in the inbox. */
  place: number;
  expireAt: number | undefined;
  /** Leases so far, and how many there may be. */
  attempts: number;
  attemptsAllowed: number;
  /** The last one to hold it, running or not, and how long it was given. */
  lease: { readonly id: string; readonly until: number; readonly ms: number } | undefined;
  firstPulledAt: number | undefined;
  readAt: number | undefined;
  /** Its death as it was written down: by the sweeper, a removal, or a broadcast that found the inbox full. */
  dead: { readonly at: number; readonly reason: DeadReason } | undefined;
}

/** What a taking pull handed out. */
export interface Handed {
  readonly agent: string;
  readonly kind: "lease" | "read";
  readonly leaseId: string;
  readonly deliveries: readonly { readonly delivery: Delivery; readonly place: number }[];
  readonly maxBodyBytes: number | undefined;
  readonly at: number;
  /** Until another pull took its place. */
  requestId: string | undefined;
  /** An hour after the latest end that was promised for it. */
  forgetAt: number;
}

/** A letter from `bus`. Its id and its text are made by the engine and learned from it. */
export interface Bounce {
  readonly message: ModelMessage;
  readonly delivery: Delivery;
  readonly original: ModelMessage;
}

export interface State {
  readonly state: DeliveryState;
  readonly deadAt?: number;
  readonly deadReason?: DeadReason;
}

/** A refusal, as far as a program acts on it. */
export class Refused extends Error {
  readonly reason: Reason;
  readonly retryAfterMs: number | undefined;

  constructor(reason: Reason, retryAfterMs?: number) {
    super(reason);
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

export class Mail {
  now = 0;
  readonly policy: StorePolicy;
  readonly agents = new Map<string, ModelAgent>();
  messages: ModelMessage[] = [];
  deliveries: Delivery[] = [];
  /** By sender and request_id: what it stands for and what it was answered. */
  readonly keys = new Map<string, { readonly content: string; readonly first: ModelMessage }>();
  /** What was handed out and can be repeated, prolonged or given back. */
  records: Handed[] = [];
  /** When each sender's messages were stored: what the quota counts. */
  readonly quota = new Map<string, number[]>();
  #lastPlace = 0;

  constructor(policy: StorePolicy) {
    this.policy = policy;
  }

  /** The state is a function of (row, now). */
  stateOf({ readAt, dead, lease, attempts, attemptsAllowed, expireAt }: Delivery): State {
    const leaseEnd = lease?.until ?? 0;
    if (readAt !== undefined) return { state: "READ" };
    if (dead !== undefined) return { state: "DEAD", deadAt: dead.at, deadReason: dead.reason };
    if (leaseEnd > this.now) return { state: "LEASED" };
    // Reading: when both ends have come, the attempts are the reason.
    if (attempts >= attemptsAllowed) return { state: "DEAD", deadAt: leaseEnd, deadReason: "ATTEMPTS_EXHAUSTED" };
    // A ttl never ends a running lease, and is judged again when that lease ends.
    if (expireAt !== undefined && expireAt <= this.now) {
      return { state: "DEAD", deadAt: Math.max(expireAt, leaseEnd), deadReason: "EXPIRED" };
    }
    return { state: "UNREAD" };
  }

  is(delivery: Delivery, ...states: DeliveryState[]): boolean {
    return states.includes(this.stateOf(delivery).state);
  }

  /** What of an inbox is in one of these states, in the inbox's order. */
  inbox(agent: string, ...states: DeliveryState[]): Delivery[] {
    const found = this.deliveries.filter((delivery) => delivery.inbox === agent && this.is(delivery, ...states));
    return found.sort((a, b) => a.place - b.place);
  }

  delivery(inbox: string, messageId: string): Delivery | undefined {
    return this.deliveries.find((delivery) => delivery.inbox === inbox && delivery.message.id === messageId);
  }

  isRegistered(name: string): boolean {
    return this.agents.get(name)?.registeredAt !== undefined;
  }

  /** Registers, unless registered already. */
  register(name: string): ModelAgent {
    const agent = this.keep(name);
    agent.registeredAt ??= this.now;
    return agent;
  }

  /** A name for mail to wait under, registered or not. */
  keep(name: string): ModelAgent {
    const agent = this.agents.get(name) ?? { name, description: "", registeredAt: undefined };
    this.agents.set(name, agent);
    return agent;
  }

  nextPlace(): number {
    this.#lastPlace += 1;
    return this.#lastPlace;
  }

  /** A new message; whoever sends it says to which inboxes. */
  store(
    message: Pick<
      ModelMessage,
      "id" | "sender" | "recipient" | "subject" | "body" | "inReplyTo" | "traceparent" | "hops"
    >,
  ) {
    const stored: ModelMessage = {
      ...message,
      at: this.now,
      order: this.nextPlace(),
      recipientCount: 0,
      bounced: false,
    };
    this.messages.push(stored);
    return stored;
  }

  /** Reading: each new record drops ten that are due, the oldest first. A clock that is set back brings none back. */
  record(handed: Handed): void {
    const due = this.records.filter(({ forgetAt }) => forgetAt < this.now).sort((a, b) => a.forgetAt - b.forgetAt);
    const dropped = new Set(due.slice(0, 10));
    this.records = [...this.records.filter((one) => !dropped.has(one)), handed];
  }

  /** At the end of that inbox. */
  deliver(message: ModelMessage, inbox: string, expireAt: number | undefined): Delivery {
    this.keep(inbox);
    const delivery: Delivery = {
      message,
      inbox,
      place: this.nextPlace(),
      expireAt,
      attempts: 0,
      attemptsAllowed: this.policy.maxAttempts,
      lease: undefined,
      firstPulledAt: undefined,
      readAt: undefined,
      dead: undefined,
    };
    this.deliveries.push(delivery);
    return delivery;
  }
}

export function bytesOf(text: string): number {
  return Buffer.byteLength(text, "utf8");
}

/** As an agent sees it: without a delivery, as one who only sent it. */
export function messageOf(
  message: ModelMessage,
  delivery: Pick<Delivery, "attempts" | "expireAt">,
  maxBodyBytes: number | undefined,
): Message {
  const { order: _, recipientCount: __, bounced: ___, at, ...rest } = message;
  const size = bytesOf(message.body);
  const isCut = maxBodyBytes !== undefined && size > maxBodyBytes;
  return {
    ...rest,
    timestamp: at,
    body: isCut ? cut(message.body, maxBodyBytes) : message.body,
    bodySize: isCut ? size : undefined,
    expireAt: delivery.expireAt,
    deliveryAttempt: delivery.attempts,
  };
}

/** At most so many bytes, at a character's edge. */
function cut(text: string, maxBytes: number): string {
  let kept = "";
  for (const character of text) {
    if (bytesOf(kept + character) > maxBytes) break;
    kept += character;
  }
  return kept;
}

/** What a request key stands for: never ttl or traceparent. */
export function contentOf({ recipient, subject, body, inReplyTo, includeSender }: NewMessage): string {
  return JSON.stringify([recipient, subject, body, inReplyTo, includeSender]);
}
