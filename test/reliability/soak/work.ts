/** A fleet's day, at any pace: mail is sent, leased, acked, read, forgotten, searched for and waited for in vain. */
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { history, type JsonCall, type Listed, type PulledBody } from "../../fixtures/json-calls.ts";
import type { Chance } from "../../wire/seeded-chance.ts";

const AGENTS = 20;
const MOST = 20;

export class Fleet {
  /** Calls so far. */
  calls = 0;
  /** Letters about dead mail that came back. */
  bounces = 0;
  readonly #call: JsonCall;
  readonly #port: number;
  readonly #chance: Chance;

  constructor(call: JsonCall, port: number, chance: Chance) {
    this.#call = call;
    this.#port = port;
    this.#chance = chance;
  }

  /** `workers` of them, each a piece of work after the other, when `turn` resolves; until that is false. */
  async work(workers: number, turn: () => Promise<boolean>): Promise<void> {
    await Promise.all(
      Array.from({ length: workers }, async () => {
        while (await turn()) await this.#piece();
      }),
    );
  }

  #piece(): Promise<void> {
    const die = this.#chance.integer(100);
    if (die < 45) return this.#send(this.#anyone(), {});
    if (die < 50) return this.#send("forgotten", { ttlSeconds: 1 });
    if (die < 75) return this.#leaseAndAck();
    if (die < 80) return this.#leaseAndForget();
    if (die < 92) return this.#read();
    if (die < 95) return this.#search();
    if (die < 98) return this.#ask("ListAgents", { pageSize: 5 }).then(() => undefined);
    return this.#hangUp();
  }

  #anyone(): string {
    return `agent-${this.#chance.integer(AGENTS)}`;
  }

  #newId(): string {
    return `${this.calls}-${this.#chance.integer(2 ** 31)}`;
  }

  async #send(to: string, more: object): Promise<void> {
    const body = `word${this.#chance.integer(1000)} ${"x".repeat(this.#chance.integer(2000))}`;
    await this.#ask("Send", { from: this.#anyone(), to, subject: "day", body, requestId: this.#newId(), ...more });
  }

  async #leaseAndAck(): Promise<void> {
    const agent = this.#anyone();
    const { messages, leaseId } = await this.#pull({ agent, leaseSeconds: 60 });
    if (messages.length > 0) await this.#ask("Ack", { agent, leaseId, messageIds: messages.map(({ id }) => id) });
  }

  async #leaseAndForget(): Promise<void> {
    await this.#pull({ agent: this.#anyone(), leaseSeconds: 1, maxMessages: 2 });
  }

  async #read(): Promise<void> {
    await this.#pull({ agent: this.#anyone(), markRead: true });
  }

  async #search(): Promise<void> {
    await this.#ask("ListMessages", { agent: this.#anyone(), text: `word${this.#chance.integer(1000)}`, pageSize: 5 });
  }

  async #pull(request: object): Promise<PulledBody> {
    const pulled = await this.#ask<PulledBody>("PullInbox", {
      maxMessages: MOST,
      requestId: this.#newId(),
      ...request,
    });
    this.bounces += pulled.messages.filter(({ from }: Listed) => from === "bus").length;
    return pulled;
  }

  /** Waits for mail on a connection of its own, and breaks it. */
  async #hangUp(): Promise<void> {
    this.calls++;
    const headers = { "content-type": "application/json" };
    const path = "/agentbus.v1.MessageBus/PullInbox";
    const request = http.request({ port: this.#port, host: "127.0.0.1", method: "POST", path, headers, agent: false });
    request.on("error", () => undefined);
    request.end(JSON.stringify({ agent: "lonely", waitSeconds: 20, leaseSeconds: 10 }));
    await sleep(this.#chance.integer(200));
    request.destroy();
  }

  async #ask<Body>(method: string, request: object): Promise<Body> {
    this.calls++;
    const { status, body } = await this.#call<Body>(method, request);
    if (status !== 200) throw new Error(`${method} ${JSON.stringify(request)}: ${status} ${JSON.stringify(body)}`);
    return body;
  }
}

/** Sends mail with a word that nobody else has. Resolves to how long it took to be found by it. */
export async function timeToBeFound(call: JsonCall): Promise<number> {
  const word = `needle${Date.now()}`;
  const began = performance.now();
  await call("Send", { from: "seeker", to: "seeker", body: word });
  while ((await history(call, "seeker", { text: word })).length === 0) {
    if (performance.now() - began > 10_000) throw new Error(`${word} was not found within 10 s`);
    await sleep(50);
  }
  return performance.now() - began;
}

/** Lets `rate` calls a second pass, for `ms` milliseconds; what could not pass in its second is not made up for. */
export function pace(rate: number, ms: number): () => Promise<boolean> {
  const began = performance.now();
  let next = began;
  return async () => {
    const now = performance.now();
    next = Math.max(next + 1000 / rate, now - 1000);
    if (next > now) await sleep(next - now);
    return performance.now() - began < ms;
  };
}
