/** kill -9 in the middle of a migration: the database is of the version before or after it, whole, and the next start goes on. */
import { copyFileSync, existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { faultsOf } from "../fixtures/database-checks.ts";
import { programme, report } from "../fixtures/programme.ts";
import { spawnBus } from "../start-bus.ts";
import { fastFolder } from "./fast-folder.ts";
import { DoomedBus, freePort } from "./kill/doomed-bus.ts";
import { IS_LONG } from "./settings.ts";
import { faultsOfHalf, writeLargeDatabase } from "./upgrade/large-database.ts";
import { migrations } from "./upgrade/old-databases.ts";

const KILLS = IS_LONG ? 300 : 20;
const MESSAGES = 10_000;
const NEWEST = migrations.length;

test(`${KILLS} times kill -9 while a large database is brought up to date loses nothing`, { timeout: 1_200_000 }, () =>
  programme(async (chance) => {
    const folder = fastFolder();
    const original = `${folder}/original.db`;
    const file = `${folder}/bus.db`;
    const contents = writeLargeDatabase(original, MESSAGES);
    const port = await freePort(chance);
    const left = new Map<number, number>();
    const faults: string[] = [];
    /** From the first write to the end of the start, the last time. */
    let migratingMs = 300;
    let version = NEWEST;
    for (let kill = 0; kill < KILLS; kill++) {
      if (version === NEWEST) copyFileSync(original, file);
      const wal = `${file}-wal`;
      const bus = DoomedBus.start(folder, port);
      while (!existsSync(wal) && !bus.ended) await sleep(1);
      const began = performance.now();
      const end = began + chance.next() * migratingMs;
      while (performance.now() < end && bus.listensSince === undefined) await sleep(1);
      if (bus.listensSince !== undefined) migratingMs = bus.listensSince - began;
      await bus.kill();
      const half = faultsOfHalf(file, contents);
      faults.push(...half.faults.map((fault) => `after kill ${kill}: ${fault}`));
      version = half.version;
      left.set(version, (left.get(version) ?? 0) + 1);
    }
    copyFileSync(original, file);
    const bus = await spawnBus({}, { folder });
    const { agents } = await bus.ok("ListAgents", { includeUnregistered: true });
    const unread = agents.reduce((sum: number, { unreadCount }: { unreadCount: number }) => sum + unreadCount, 0);
    await bus.stop();
    report("kill -9 while migrating", {
      messages: contents.messages,
      kills: KILLS,
      ...Object.fromEntries([...left].sort().map(([version, count]) => [`left at version ${version}`, count])),
      faults: faults.length,
    });
    expect(faults.slice(0, 5)).toEqual([]);
    expect(faultsOf(file)).toEqual([]);
    expect(unread).toBeGreaterThanOrEqual((MESSAGES * 2) / 3);
    expect(left.get(1), "killed before the first migration was over").toBeGreaterThan(0);
  }),
);
