/** Callers behind a network that loses answers: each asks for the same, with the same request_id, until it is answered. */
import type { AckedBody, JsonCall, PulledBody, SentBody } from "../../fixtures/json-calls.ts";
import type { Chance } from "../../wire/seeded-chance.ts";

/** Far longer than the way from a lease to its ack, however many answers are lost. */
export const LEASE_SECONDS = 15;
const MOST = 8;
/** None is expected: so many are no accident, and waiting for the end of them would be for ever. */
const MOST_REFUSED = 100;

/** One message handed out in an answer that arrived. */
export interface Handed {
  readonly id: string;
  readonly by: string;
  readonly attempt: number | undefined;
}

export interface Errands {
  /** The id that each request_id was answered with. */
  readonly sent: Map<string, string>;
  readonly leased: Handed[];
  readonly read: Handed[];
  readonly refused: string[];
}

export class Caller {
  readonly #call: JsonCall;
  readonly #chance: Chance;
  readonly #errands: Errands;

  constructor(call: JsonCall, chance: Chance, errands: Errands) {
    this.#call = call;
    this.#chance = chance;
    this.#errands = errands;
  }

  async send(sender: string, requestId: string): Promise<void> {
    const to = this.#chance.pick(["leased", "read"]);
    const message = { from: sender, to, subject: requestId, body: "x".repeat(this.#chance.integer(400)), requestId };
    const { id } = await this.#untilAnswered<SentBody>("Send", message);
    this.#errands.sent.set(requestId, id);
  }

  /** Leases and acks until nothing is left. */
  async work(name: string, over: () => Promise<boolean>): Promise<void> {
    await this.#pullUntil(over, name, { agent: "leased", leaseSeconds: LEASE_SECONDS }, async (pulled) => {
      const { messages, leaseId = "no lease" } = pulled;
      for (const { id, deliveryAttempt: attempt } of messages) this.#errands.leased.push({ id, by: leaseId, attempt });
      const ack = { agent: "leased", messageIds: messages.map(({ id }) => id), leaseId };
      const { staleMessageIds: stale, unknownMessageIds: unknown } = await this.#untilAnswered<AckedBody>("Ack", ack);
      for (const id of [...stale, ...unknown]) this.#errands.refused.push(`${id}: not to be acked by ${leaseId}`);
    });
  }

  /** Reads with mark_read until nothing is left. */
  async read(name: string, over: () => Promise<boolean>): Promise<void> {
    await this.#pullUntil(over, name, { agent: "read", markRead: true }, async ({ messages }, requestId) => {
      for (const { id } of messages) this.#errands.read.push({ id, by: requestId, attempt: undefined });
    });
  }

  /**
   * A request_id stands until an answer with mail came: the network may still hold an earlier try of the same pull, and
   * what that takes after an empty answer is handed out to the next one with this request_id.
   */
  async #pullUntil(
    over: () => Promise<boolean>,
    name: string,
    pull: object,
    take: (pulled: PulledBody, requestId: string) => Promise<void>,
  ): Promise<void> {
    for (let n = 0; ; ) {
      const last = await over();
      const requestId = `${name}-${n}`;
      const window = { maxMessages: 1 + this.#chance.integer(MOST), waitSeconds: last ? 0 : this.#chance.integer(2) };
      const pulled = await this.#untilAnswered<PulledBody>("PullInbox", { ...pull, ...window, requestId });
      if (pulled.messages.length > 0) {
        await take(pulled, requestId);
        n++;
      } else if (last) return;
    }
  }

  async #untilAnswered<Body>(method: string, request: object): Promise<Body> {
    for (;;) {
      const answer = await this.#call<Body>(method, request).catch(() => undefined);
      if (answer === undefined) continue;
      if (answer.status === 200) return answer.body;
      this.#errands.refused.push(
        `${method} ${JSON.stringify(request)}: ${answer.status} ${JSON.stringify(answer.body)}`,
      );
      if (this.#errands.refused.length > MOST_REFUSED) throw new Error(this.#errands.refused[0]);
    }
  }
}
