/**
 * A bus under attack, in a process of its own, while a well-behaved caller goes on sending and reading. After each blow it
 * proves that nothing was harmed: the process, the caller's service, the mail that was there before, the log.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { type BusProcess, type Flags, spawnBus } from "../start-bus.ts";

/** A Send and its read may take another caller this long under attack, on a machine that does other things besides. */
const PATIENCE_MS = 10_000;
const BETWEEN_ROUNDS_MS = 50;

export interface BesiegedBus extends BusProcess {
  /** Throws, naming the blow, if anything was harmed since the last look. */
  unharmed(blow: string): Promise<void>;
}

export async function besiegedBus(flags: Flags = {}): Promise<BesiegedBus> {
  const bus = await spawnBus(flags);
  for (const n of [1, 2, 3]) await bus.ok("Send", { from: "founder", to: "vault", body: "ü".repeat(n) });
  const vault = async () => JSON.stringify((await bus.ok("PullInbox", { agent: "vault" })).messages);
  const stored = await vault();
  const served = serveMeanwhile(bus);
  let seen = 0;

  return {
    ...bus,
    async unharmed(blow) {
      try {
        await sendAndRead(bus, "after", `after ${blow}`);
        if (served.failure !== undefined) throw served.failure;
      } catch (cause) {
        const { exitCode, signalCode } = bus.process;
        const ended = exitCode ?? signalCode;
        const what =
          ended === null ? "another caller was not served" : `the bus ended (${ended}): ${bus.log().slice(seen)}`;
        throw new Error(`${blow}: ${what}`, { cause });
      }
      if ((await vault()) !== stored) throw new Error(`${blow}: mail that was stored before is not what it was`);
      const written = bus.log();
      const bad = written.slice(seen).split("\n").filter(isAlarm);
      seen = written.length;
      if (bad.length > 0) throw new Error(`${blow}: logged ${bad.join("\n")}`);
    },
  };
}

async function sendAndRead(bus: BusProcess, agent: string, body: string): Promise<void> {
  const began = Date.now();
  await bus.ok("Send", { from: "witness", to: agent, body });
  const { messages } = await bus.ok("PullInbox", { agent, markRead: true });
  const read = messages.map((message: { body: string }) => message.body);
  if (read.length !== 1 || read[0] !== body) throw new Error(`sent "${body}", read ${JSON.stringify(read)}`);
  if (Date.now() - began > PATIENCE_MS) throw new Error(`a Send and its read took ${Date.now() - began} ms`);
}

/** Anything that is no line of the log (a crash, a warning of node's) or is an error. */
function isAlarm(line: string): boolean {
  if (line === "") return false;
  if (!line.startsWith("{")) return true;
  return /^\{"level":[56]0/.test(line);
}

function serveMeanwhile(bus: BusProcess): { readonly failure: unknown } {
  const served = { failure: undefined as unknown };
  let over = false;
  const run = async () => {
    for (let round = 0; !over; round++) {
      await sendAndRead(bus, "meanwhile", `round ${round}`);
      await sleep(BETWEEN_ROUNDS_MS);
    }
  };
  run().catch((error: unknown) => {
    served.failure = error;
  });
  onTestFinished(() => {
    over = true;
  });
  return served;
}
