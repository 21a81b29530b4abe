/**
 * A well-behaved pair of agents on a bus that is fuzzed. Unlike those of a besieged bus they get mail of strangers too, for
 * the fuzz broadcasts; what they have from each other must not change.
 */

import type { BusProcess } from "../../start-bus.ts";
import { openDescriptors, residentMemory } from "../../wire/process-figures.ts";

const PATIENCE_MS = 10_000;
const ALARM = /^\{"level":[56]0|^[^{]/;

const OWN = ["witness", "friend", "vault"];

type Mail = readonly { readonly from: string; readonly body: string }[];

export class Bystander {
  readonly #bus: BusProcess;
  #stored = "";
  #logSeen = 0;
  #round = 0;

  constructor(bus: BusProcess) {
    this.#bus = bus;
  }

  /** Puts away what must still be there, unread and unchanged, after everything. */
  async settleIn(): Promise<void> {
    for (const n of [1, 2, 3]) await this.#bus.ok("Send", { from: "witness", to: "vault", body: "ü".repeat(n) });
    this.#stored = await this.#vault();
  }

  /** Throws what was harmed since the last time. */
  async unharmed(): Promise<{ memory: number; descriptors: number }> {
    const { process } = this.#bus;
    const body = `round ${this.#round++}`;
    const began = performance.now();
    await this.#bus.ok("Send", { from: "witness", to: "friend", body });
    const { messages } = await this.#bus.ok("PullInbox", {
      agent: "friend",
      markRead: true,
      maxMessages: 1000,
      maxBytes: 3_000_000,
    });
    const read = this.#mine(messages);
    if (read !== body) throw new Error(`sent "${body}", read "${read}"`);
    if (performance.now() - began > PATIENCE_MS) throw new Error("a Send and its read took more than 10 s");
    if ((await this.#vault()) !== this.#stored) throw new Error("mail that was there before is not what it was");
    const log = this.#bus.log();
    const bad = log
      .slice(this.#logSeen)
      .split("\n")
      .filter((line) => ALARM.test(line));
    this.#logSeen = log.length;
    if (bad.length > 0) throw new Error(`logged ${bad.slice(0, 3).join("\n")}`);
    if (process.exitCode !== null || process.signalCode !== null) throw new Error("the bus ended");
    return { memory: residentMemory(process.pid as number), descriptors: openDescriptors(process.pid as number) };
  }

  /** Removes whoever else is registered. Resolves to how many were. */
  async removeStrangers(): Promise<number> {
    let removed = 0;
    for (;;) {
      const { agents } = await this.#bus.ok("ListAgents", { pageSize: 1000 });
      const strangers = agents.map(({ name }: { name: string }) => name).filter((name: string) => !OWN.includes(name));
      if (strangers.length === 0) return removed;
      for (const agent of strangers) await this.#bus.ok("RemoveAgent", { agent, force: true });
      removed += strangers.length;
    }
  }

  async #vault(): Promise<string> {
    const { messages } = await this.#bus.ok("PullInbox", { agent: "vault", maxMessages: 3 });
    return JSON.stringify(messages);
  }

  #mine(messages: Mail): string {
    return messages
      .filter(({ from }) => from === "witness")
      .map(({ body }) => body)
      .join();
  }
}
