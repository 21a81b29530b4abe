/** Agents at work while the bus is copied: they send, lease and ack, and keep a list of all that was answered. */
import { setTimeout as sleep } from "node:timers/promises";
import type { AckedBody, JsonCall, PulledBody, SentBody } from "../../fixtures/json-calls.ts";
import type { Chance } from "../../wire/seeded-chance.ts";

export const INBOX = "jack";
const PAUSE_MS = 20;
const LARGE_BODY = 100_000;

export interface Sent {
  readonly id: string;
  readonly request: {
    readonly from: string;
    readonly subject: string;
    readonly body: string;
    readonly requestId: string;
  };
}

export class Traffic {
  /** In the order of their answers. */
  readonly sent: Sent[] = [];
  readonly acked: string[] = [];
  /** Subjects of all that was ever tried. */
  readonly tried = new Set<string>();
  readonly #call: JsonCall;
  readonly #agents: Promise<void>[] = [];
  #over = false;

  constructor(call: JsonCall) {
    this.#call = call;
  }

  begin(chances: { senders: readonly Chance[]; workers: readonly Chance[] }): void {
    for (const [n, chance] of chances.senders.entries()) this.#agents.push(this.#send(`sender-${n}`, chance));
    for (const chance of chances.workers) this.#agents.push(this.#work(chance));
    for (const agent of this.#agents) agent.catch(() => undefined); // end() tells
  }

  /** Throws what went wrong with any of them. */
  async end(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#agents);
  }

  async #send(from: string, chance: Chance): Promise<void> {
    for (let n = 0; !this.#over; n++) {
      const subject = `${from}-${n}`;
      const body = subject + "x".repeat(chance.integer(chance.integer(20) === 0 ? LARGE_BODY : 500));
      const request = { from, to: INBOX, subject, body, requestId: subject };
      this.tried.add(subject);
      const { id } = await this.#ok<SentBody>("Send", request);
      this.sent.push({ id, request });
      await sleep(chance.integer(PAUSE_MS));
    }
  }

  async #work(chance: Chance): Promise<void> {
    while (!this.#over) {
      const pull = { agent: INBOX, leaseSeconds: 60, maxMessages: 1 + chance.integer(20), waitSeconds: 1 };
      const { messages, leaseId } = await this.#ok<PulledBody>("PullInbox", pull);
      const messageIds = messages.map(({ id }) => id);
      if (messageIds.length === 0 || chance.integer(5) === 0) continue;
      const { staleMessageIds: stale } = await this.#ok<AckedBody>("Ack", { agent: INBOX, messageIds, leaseId });
      this.acked.push(...messageIds.filter((id) => !stale.includes(id)));
    }
  }

  async #ok<Body>(method: string, request: object): Promise<Body> {
    const { status, body } = await this.#call<Body>(method, request);
    if (status !== 200) throw new Error(`${method} answered ${status}: ${JSON.stringify(body)}`);
    return body;
  }
}
