/**
 * A disk that is full to its last byte, and one that cannot be written at all: what agents have begun they can end, for
 * the bus kept room for that; Sends come back with the room.
 */
import { existsSync, statSync, truncateSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Ballast } from "#dist/store/sqlite/ballast.js";
import { report } from "../fixtures/programme.ts";
import { type BusProcess, spawnBus, startBus } from "../start-bus.ts";
import { startFaultyBus } from "./io-errors/faulty-bus.ts";
import { CAN_MOUNT, smallDisk } from "./io-errors/small-disk.ts";
import { Conversation, type Promised } from "./power-loss/clients.ts";
import { crash } from "./power-loss/crash.ts";
import { judge } from "./power-loss/judge.ts";

const MB = 1024 * 1024;
const LETTERS = 60;
/** The bus looks for room every five seconds. */
const BACK_MS = 20_000;

interface PulledBody {
  readonly messages: readonly { readonly id: string }[];
  readonly leaseId: string;
}

async function ready({ url }: BusProcess): Promise<number> {
  return (await fetch(`${url}/readyz`)).status;
}

/** Sends until nothing is taken any more, however small; resolves to the number of the next letter. */
async function sendUntilFull(ann: Conversation, n: number): Promise<number> {
  for (const size of [30_000, 0]) {
    for (let refused = 0; refused < 3; n++) refused = (await ann.send(n, size, "bob")) === undefined ? refused + 1 : 0;
  }
  return n;
}

/** One after the other: leased, then acked, given back, or leased again and read. Throws if anything is refused. */
async function work(bob: Conversation, n: number): Promise<void> {
  const { agent } = bob;
  const must = async <Body>(method: string, request: object, promised: (body: Body) => Promised[] = () => []) => {
    const body = await bob.call<Body>(method, request, promised);
    if (body === undefined) throw new Error(`${method} number ${n} was refused: ${[...bob.refusals.keys()]}`);
    return body;
  };
  const read = ({ messages }: Pick<PulledBody, "messages">): Promised[] =>
    messages.map(({ id }) => ({ kind: "read", agent, id }));
  const pull = { agent, maxMessages: 1, leaseSeconds: 600 };
  const { leaseId, messages } = await must<PulledBody>("PullInbox", pull, ({ leaseId }) => [
    { kind: "leased", leaseId },
  ]);
  const messageIds = messages.map(({ id }) => id);
  if (n % 3 === 0) await must("ModifyLease", { agent, leaseId, leaseSeconds: 0 });
  else await must("Ack", { agent, leaseId, messageIds }, () => read({ messages }));
  if (n % 3 === 1) await must<PulledBody>("PullInbox", { agent, maxMessages: 1, markRead: true }, read);
}

describe.skipIf(!CAN_MOUNT)("a bus on a full disk", () => {
  test.each([12, 160])(
    "lets agents end what they began on %i MiB, and takes Sends again once there is room",
    { timeout: 120_000 },
    async (size) => {
      const disk = smallDisk(size * MB);
      const bus = await spawnBus({}, { folder: disk.folder });
      const ann = new Conversation(bus.port, "ann");
      const bob = new Conversation(bus.port, "bob");
      await ann.register();
      await bob.register();
      let n = 0;
      while (n < LETTERS) expect(await ann.send(n++, 500, "bob")).toBeDefined();
      const { size: ballast } = statSync(`${disk.folder}/bus.db.ballast`);
      disk.fill();
      n = await sendUntilFull(ann, n);

      expect(await ready(bus)).toBe(503);
      for (let i = 0; i < LETTERS / 2; i++) await work(bob, i);
      expect(await ann.send(n++, 0, "bob"), "a Send on the full disk").toBeUndefined();
      expect(await ready(bus)).toBe(503);

      disk.free();
      const freed = performance.now();
      while ((await ann.send(n++, 0, "bob")) === undefined) {
        expect(performance.now() - freed, "milliseconds until Sends come back").toBeLessThan(BACK_MS);
        await sleep(100);
      }
      const back = performance.now() - freed;
      expect(await ready(bus)).toBe(200);
      expect(statSync(`${disk.folder}/bus.db.ballast`).size).toBeGreaterThan(0);
      for (let i = 0; i < 10; i++) expect(await ann.send(n++, 500, "bob")).toBeDefined();
      expect([...ann.refusals.keys(), ...bob.refusals.keys()]).toEqual(["STORAGE_FULL"]);
      expect(bus.log()).not.toMatch(/internal error|writer thread ended/);

      await bus.kill("SIGKILL");
      await (await startBus({}, disk.folder)).stop();
      const promised = [ann, bob].flatMap(({ answers }) => answers.flat());
      expect(judge(`${disk.folder}/bus.db`, promised, new Set(ann.asked))).toEqual([]);
      report(`full disk of ${size} MiB`, {
        "bytes of ballast": ballast,
        "sends refused": ann.refusals.get("STORAGE_FULL") ?? 0,
        "calls of a worker on it": bob.answers.length,
        "ms until sends came back": Math.round(back),
      });
    },
  );

  test("says STORAGE_FULL for single writes that find no room, and forgets none it took", {
    timeout: 60_000,
  }, async () => {
    const { folder } = smallDisk(40 * MB);
    const bus = await startFaultyBus(folder, { calls: "pwrite64", error: "ENOSPC", when: "150..152" });
    const ann = new Conversation(bus.port, "ann");
    await ann.register();
    const began = performance.now();
    for (let n = 0, answered = 0; answered < 10; n++) {
      answered = (await ann.send(n, 100, "bob")) === undefined ? 0 : answered + 1;
      if (answered === 0) await sleep(100);
      expect(performance.now() - began).toBeLessThan(3 * BACK_MS);
    }
    expect([...ann.refusals.keys()]).toEqual(["STORAGE_FULL"]);
    await crash(bus);
    await (await startBus({}, folder)).stop();
    expect(judge(`${folder}/bus.db`, ann.answers.flat(), new Set(ann.asked))).toEqual([]);
  });
});

describe.skipIf(!CAN_MOUNT)("a bus on a disk that gets full", () => {
  test("says so in its log while there is still room", { timeout: 30_000 }, async () => {
    const { folder } = smallDisk(40 * MB);
    const bus = await spawnBus({}, { folder });
    await expect.poll(() => bus.log()).toMatch(/"databaseBytes":\d+,.*"freeBytes":\d+,.*the disk gets full: make room/);
    await bus.stop();
  });

  test("says nothing of the kind on a large one", { timeout: 30_000 }, async () => {
    const { folder } = smallDisk(400 * MB);
    const bus = await spawnBus({}, { folder });
    await bus.ok("Send", { from: "ann", to: "bob", subject: "s", body: "b" });
    await bus.stop();
    expect(bus.log()).not.toContain("gets full");
  });
});

describe.skipIf(!CAN_MOUNT)("a bus on a disk that is read-only", () => {
  test("does not start, and says which file and what to look at", { timeout: 30_000 }, async () => {
    const disk = smallDisk(40 * MB);
    const bus = await startBus({}, disk.folder);
    await bus.ok("Send", { from: "ann", to: "bob", subject: "s", body: "b" });
    await bus.stop();
    disk.readOnly();
    const said = await spawnBus({}, { folder: disk.folder }).then(String, (error: Error) => error.message);
    expect(said).toContain(`${disk.folder}/bus.db`);
    expect(said).toMatch(/can't be opened: .*; see that .* this user may write to the folder/);
    expect(said).not.toMatch(/\n\s+at /);
  });
});

describe.skipIf(!CAN_MOUNT)("the ballast", () => {
  const LATER = 6000;

  test("takes real room and gives it back", () => {
    const disk = smallDisk(16 * MB);
    const before = disk.freeBytes();
    const ballast = new Ballast(`${disk.folder}/bus.db`, 0);
    expect(ballast.held).toBe(true);
    expect(disk.freeBytes()).toBeLessThanOrEqual(before - MB);
    ballast.giveUp(0);
    expect(ballast.held).toBe(false);
    expect(disk.freeBytes()).toBe(before);
  });

  test("is found again by the next start, unless a crash left it cut short", () => {
    const { folder } = smallDisk(16 * MB);
    new Ballast(`${folder}/bus.db`, 0);
    const { ino, size } = statSync(`${folder}/bus.db.ballast`);
    expect(new Ballast(`${folder}/bus.db`, 0).held).toBe(true);
    expect(statSync(`${folder}/bus.db.ballast`)).toMatchObject({ ino, size });
    truncateSync(`${folder}/bus.db.ballast`, 100);
    expect(new Ballast(`${folder}/bus.db`, 0).held).toBe(true);
    expect(statSync(`${folder}/bus.db.ballast`).size).toBeGreaterThan(100);
  });

  test("is not taken while there is no room, and takes none; then it is, at the first look after some seconds", () => {
    const disk = smallDisk(16 * MB);
    disk.fill();
    const ballast = new Ballast(`${disk.folder}/bus.db`, 0);
    expect(ballast.held).toBe(false);
    expect(existsSync(`${disk.folder}/bus.db.ballast`)).toBe(false);
    ballast.recover(LATER);
    expect(ballast.held).toBe(false);
    disk.free();
    ballast.recover(LATER + 1);
    expect(ballast.held, "not looked at again so soon").toBe(false);
    ballast.recover(3 * LATER);
    expect(ballast.held).toBe(true);
  });

  test("is not taken out of its own room again, nor smaller", () => {
    const disk = smallDisk(16 * MB);
    const ballast = new Ballast(`${disk.folder}/bus.db`, 0);
    const { size } = statSync(`${disk.folder}/bus.db.ballast`);
    disk.fill();
    for (const now of [LATER, 2 * LATER, 3 * LATER]) {
      ballast.giveUp(now - LATER);
      ballast.recover(now);
      expect(ballast.held).toBe(false);
    }
    expect(disk.freeBytes()).toBeGreaterThanOrEqual(size);
    disk.free();
    ballast.recover(4 * LATER);
    expect(statSync(`${disk.folder}/bus.db.ballast`).size).toBe(size);
  });

  test("throws nothing when the disk can neither make nor remove a file", () => {
    const disk = smallDisk(16 * MB);
    const ballast = new Ballast(`${disk.folder}/bus.db`, 0);
    disk.readOnly();
    ballast.giveUp(0);
    ballast.recover(LATER);
    expect(ballast.held).toBe(false);
  });
});
