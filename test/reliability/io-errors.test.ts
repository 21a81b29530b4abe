/** Writes and syncs fail: nothing false is acknowledged, whoever calls is told why, and the same process goes on after it. */
import { describe, expect, test } from "vitest";
import { faultsOf } from "../fixtures/database-checks.ts";
import { chanceFrom, programme, report } from "../fixtures/programme.ts";
import { CAN_TRACE } from "../fixtures/strace.ts";
import { type BusProcess, startBus, temporaryFolder } from "../start-bus.ts";
import { type Fault, startFaultyBus } from "./io-errors/faulty-bus.ts";
import { Conversation, converse } from "./power-loss/clients.ts";
import { crash } from "./power-loss/crash.ts";
import { judge } from "./power-loss/judge.ts";
import { IS_LONG } from "./settings.ts";

const AGENTS = ["ann", "bob", "cy", "dan"];
const CALLS = IS_LONG ? 200 : 30;
const RECOVERY_MS = 30_000;

/** Each ends, and then the disk is sound again. */
const PASSING: Record<string, Fault> = {
  "every seventh write": { calls: "pwrite64", error: "EIO", when: "100..700+7" },
  "every third sync": { calls: "fsync,fdatasync", error: "EIO", when: "15..60+3" },
  "all writes for a while, as on a file system that the kernel made read-only": {
    calls: "pwrite64",
    error: "EROFS",
    when: "150..200",
  },
  "every fifth read": { calls: "pread64", error: "EIO", when: "30..60+5" },
};

/** Which write and which sync of a first start fails. Its last ones lie behind the ends of these lists, and fail nothing. */
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
const STARTS: Fault[] = [
  ...(IS_LONG ? upTo(90) : [1, 3, 40]).map((n) => ({ calls: "pwrite64", error: "EIO" as const, when: `${n}` })),
  ...(IS_LONG ? upTo(12) : [1, 3, 4, 5, 7]).map((n) => ({
    calls: "fsync,fdatasync",
    error: "EIO" as const,
    when: `${n}`,
  })),
];

/** On a sound disk: restarts the bus on what is there, and looks for every promise. */
async function brokenPromises(folder: string, conversations: readonly Conversation[]): Promise<string[]> {
  const bus = await startBus({}, folder);
  await bus.stop();
  const promised = conversations.flatMap(({ answers }) => answers.flat());
  return judge(`${folder}/bus.db`, promised, new Set(conversations.flatMap(({ asked }) => asked)));
}

async function ready({ url }: BusProcess): Promise<number> {
  return (await fetch(`${url}/readyz`)).status;
}

/** Calls until so many in a row were answered that the faults must be over. */
async function untilPassed(bus: BusProcess): Promise<Conversation> {
  const conversation = new Conversation(bus.port, "guy");
  const began = performance.now();
  for (let n = 0, answered = 0; answered < 15; n++) {
    const sent = await conversation.send(n, 100, "ann");
    answered = sent !== undefined && (await ready(bus)) === 200 ? answered + 1 : 0;
    expect(performance.now() - began, "milliseconds until the faults were over").toBeLessThan(RECOVERY_MS);
  }
  return conversation;
}

describe.skipIf(!CAN_TRACE)("a bus on a disk with faults", () => {
  test.each(Object.entries(PASSING))(
    "acknowledges nothing false and goes on when faults pass: %s",
    { timeout: 120_000 },
    (name, fault) =>
      programme(async (chance) => {
        const folder = temporaryFolder();
        const bus = await startFaultyBus(folder, fault);
        const talk = async (names: readonly string[], calls: number) =>
          Promise.all(names.map((agent) => converse(bus.port, agent, AGENTS, calls, chanceFrom(chance))));
        const troubled = await talk(AGENTS, CALLS);
        const passing = await untilPassed(bus);
        const sound = await talk(["eve", "fay"], 10);
        expect(await ready(bus)).toBe(200);
        expect(bus.process.exitCode).toBeNull();
        expect(bus.log()).not.toMatch(/internal error|writer thread ended/);
        await crash(bus);

        const refusals = troubled.map(({ refusals }) => refusals.get("STORE_UNREACHABLE") ?? 0).reduce((a, b) => a + b);
        const broken = await brokenPromises(folder, [...troubled, passing, ...sound]);
        report(`io errors, ${name}`, {
          "calls answered": troubled.flatMap(({ answers }) => answers).length - refusals,
          refused: refusals,
          "promises broken": broken.length,
        });
        expect(broken).toEqual([]);
        expect(refusals).toBeGreaterThan(0);
        for (const { refusals } of troubled) expect([...refusals.keys()]).not.toContain("STORAGE_FULL");
        for (const { refusals } of sound) expect([...refusals]).toEqual([]);
      }),
  );

  test("starts when a write or sync of its first start failed, or says why not; and then on a sound disk", {
    timeout: 600_000,
  }, async () => {
    let refused = 0;
    for (const fault of STARTS) {
      const folder = temporaryFolder();
      const started = await startFaultyBus(folder, fault).catch((error: Error) => error.message);
      if (typeof started === "string") {
        refused++;
        expect(started, fault.when).toContain(`${folder}/bus.db`);
        expect(started).toMatch(/can't be opened: .*; see that the disk works/);
        expect(started, "no stack").not.toMatch(/\n\s+at /);
      } else await crash(started);
      const bus = await startBus({}, folder);
      await bus.ok("Send", { from: "ann", to: "bob", subject: "s", body: "b" });
      await bus.stop();
      expect(faultsOf(`${folder}/bus.db`), `${fault.calls} ${fault.when}`).toEqual([]);
    }
    report("io errors at the start", { starts: STARTS.length, refused });
    expect(refused).toBeGreaterThan(STARTS.length / 2);
  });

  test("serves on, and readyz says so, while nothing can be moved into the database file", { timeout: 120_000 }, () =>
    programme(async () => {
      const folder = temporaryFolder();
      // The first write to it makes the file: all others are checkpoints.
      const fault: Fault = { calls: "pwrite64", error: "EIO", when: "2..4", files: ["bus.db"] };
      const bus = await startFaultyBus(folder, fault);
      const conversation = new Conversation(bus.port, "ann");
      await conversation.register();
      let unready = 0;
      const deadline = Date.now() + 60_000;
      for (let n = 0; Date.now() < deadline; n++) {
        expect(await conversation.send(n, 40_000, "bob")).toBeDefined();
        if ((await ready(bus)) === 503) unready++;
        else if (unready > 0) break;
      }
      expect(unready).toBeGreaterThan(0);
      expect(Date.now()).toBeLessThan(deadline);
      await crash(bus);
      expect(await brokenPromises(folder, [conversation])).toEqual([]);
    }),
  );
});
