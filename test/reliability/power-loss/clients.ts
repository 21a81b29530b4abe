/**
 * Clients under whose calls a bus is recorded: each has one connection and one call at a time, so that the n-th answer on
 * a socket is the answer to its n-th call. What each answer promises is written down.
 */
import { type JsonCall, jsonCalls } from "../../fixtures/json-calls.ts";
import type { Chance } from "../../wire/seeded-chance.ts";

/** What has to be true from the moment an answer was written to its socket. */
export type Promised =
  | { readonly kind: "stored"; readonly id: string; readonly text: string; readonly copies: number }
  | { readonly kind: "read"; readonly agent: string; readonly id: string }
  | { readonly kind: "leased"; readonly leaseId: string };

interface SentBody {
  readonly id: string;
  readonly recipientCount: number;
  readonly deduplicated: boolean;
}

interface PulledBody {
  readonly messages: readonly { readonly id: string }[];
  readonly leaseId?: string;
}

/** What was asked and promised. */
export interface Talk {
  readonly agent: string;
  /** What each answer promised, in their order; the first is the registration's. */
  readonly answers: readonly (readonly Promised[])[];
  /** Texts of all messages that this client ever asked to send. */
  readonly asked: readonly string[];
}

/** One client of one bus process. */
export class Conversation implements Talk {
  readonly agent: string;
  readonly answers: Promised[][] = [];
  readonly asked: string[] = [];
  /** How often which reason was the answer. */
  readonly refusals = new Map<string, number>();
  readonly #call: JsonCall;

  constructor(port: number, agent: string) {
    this.agent = agent;
    this.#call = jsonCalls(port, 1);
  }

  register(): Promise<unknown> {
    return this.call("RegisterAgent", { agent: this.agent }, () => []);
  }

  /** Its n-th message; undefined: refused. To everybody without a recipient. */
  send(n: number, size: number, to: string | undefined): Promise<SentBody | undefined> {
    const text = `${this.agent}#${n} ${"x".repeat(size)}`;
    this.asked.push(text);
    const request = { subject: "s", body: text, requestId: `${this.agent}#${n}` };
    return this.call<SentBody>(
      to === undefined ? "Broadcast" : "Send",
      to === undefined ? { sender: this.agent, ...request } : { from: this.agent, to, ...request },
      ({ id, recipientCount }) => [{ kind: "stored", id, text, copies: recipientCount }],
    );
  }

  /** undefined: refused for a fault of the disk. Throws for any other refusal. */
  async call<Body>(method: string, request: object, promised: (body: Body) => Promised[]): Promise<Body | undefined> {
    const { status, body } = await this.#call<Body>(method, request);
    this.answers.push(status === 200 ? promised(body) : []);
    if (status === 200) return body;
    const text = JSON.stringify(body);
    const [, reason] = /"message":"(STORE_UNREACHABLE|STORAGE_FULL): /.exec(text) ?? [];
    if (reason === undefined) throw new Error(`${method} of ${this.agent} answered ${status}: ${text}`);
    this.refusals.set(reason, (this.refusals.get(reason) ?? 0) + 1);
    return undefined;
  }

  /** Without the connection. */
  toJSON(): Talk {
    const { agent, answers, asked } = this;
    return { agent, answers, asked };
  }
}

/** Sends, broadcasts, leases, acks, gives back and reads, `calls` times; repeats what is refused until it is not. */
export async function converse(port: number, agent: string, agents: readonly string[], calls: number, chance: Chance) {
  const conversation = new Conversation(port, agent);
  const read = () =>
    conversation.call<PulledBody>("PullInbox", { agent, markRead: true, maxMessages: 3 }, ({ messages }) =>
      messages.map(({ id }) => ({ kind: "read", agent, id })),
    );
  const lease = async () => {
    const request = { agent, leaseSeconds: 600, maxMessages: 4 };
    const { leaseId, messages } = await untilAnswered(() =>
      conversation.call<PulledBody>("PullInbox", request, ({ leaseId }) =>
        leaseId ? [{ kind: "leased", leaseId }] : [],
      ),
    );
    if (!leaseId) return;
    const messageIds = messages.map(({ id }) => id);
    const giveBack = chance.next() < 0.3;
    await untilAnswered(() =>
      giveBack
        ? conversation.call("ModifyLease", { agent, leaseId, leaseSeconds: 0 }, () => [])
        : conversation.call("Ack", { agent, leaseId, messageIds }, () =>
            messageIds.map((id) => ({ kind: "read", agent, id })),
          ),
    );
  };
  await untilAnswered(() => conversation.register());
  for (let n = 0; n < calls; n++) {
    const dice = chance.next();
    const to = chance.next() < 0.1 ? undefined : chance.pick(agents);
    const size = chance.pick([0, 20, 300, 600, 5000]);
    if (dice < 0.7) await untilAnswered(() => conversation.send(n, size, to));
    else if (dice < 0.9) await lease();
    else await untilAnswered(read);
  }
  return conversation;
}

async function untilAnswered<Body>(call: () => Promise<Body | undefined>): Promise<Body> {
  for (let tries = 0; tries < 200; tries++) {
    const body = await call();
    if (body !== undefined) return body;
  }
  throw new Error("still refused after 200 tries");
}
