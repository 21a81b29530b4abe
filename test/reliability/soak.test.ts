/**
 * A day's work at most of what the bus can do: it takes no more of its machine in the end than in the beginning.
 * AGENTBUS_SOAK_SECONDS says how long; an hour in a long run.
 */
import { statSync } from "node:fs";
import Database from "better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { faultsOf } from "../fixtures/database-checks.ts";
import { history, jsonCalls } from "../fixtures/json-calls.ts";
import { programme, report } from "../fixtures/programme.ts";
import { spawnBus, temporaryFolder } from "../start-bus.ts";
import { IS_LONG } from "./settings.ts";
import { Sampler } from "./soak/figures.ts";
import { ageMail, type Old, oldMail } from "./soak/old-mail.ts";
import { Fleet, pace, timeToBeFound } from "./soak/work.ts";

const SECONDS = Number(process.env["AGENTBUS_SOAK_SECONDS"] ?? (IS_LONG ? 3600 : 20));
const CALIBRATION_MS = Math.min(10_000, SECONDS * 100);
/** What comes first is the process getting warm. */
const WARM_UP_MS = SECONDS * 200;
const PART_OF_CAPACITY = 0.7;
const WORKERS = 48;
const AGE_EVERY_MS = 60_000;
const FLAGS = { maxAttempts: "2" } as const;
/** What a warm bus has. On a busy machine the first third is still cold, at some 190 MiB: that is no leak. */
const WARM = { "MiB memory": 230, descriptors: 0, "MiB WAL": 0 } as const;
/** What the last third may have more than the first. */
const MARGIN = { "MiB memory": 40, descriptors: 10, "MiB WAL": 8 } as const;

describe("a bus at work", () => {
  test(
    `takes no more memory, descriptors and WAL after ${SECONDS} s than in the beginning`,
    { timeout: SECONDS * 1000 + 120_000 },
    () =>
      programme(async (chance) => {
        const folder = temporaryFolder();
        const database = `${folder}/bus.db`;
        const old: Old = await oldMail(folder, FLAGS);
        const bus = await spawnBus(FLAGS, { folder });
        const call = jsonCalls(bus.port);
        const fleet = new Fleet(call, bus.port, chance);

        const calibrated = performance.now();
        await fleet.work(WORKERS, async () => performance.now() - calibrated < CALIBRATION_MS);
        const capacity = (fleet.calls * 1000) / (performance.now() - calibrated);
        const rate = capacity * PART_OF_CAPACITY;
        await fleet.work(WORKERS, pace(rate, WARM_UP_MS));

        const left = SECONDS * 1000 - CALIBRATION_MS - WARM_UP_MS;
        const sampler = new Sampler(bus.process.pid as number, database, Math.min(5000, left / 60));
        // Retention counts in hours; so that there is work for it in a long run, time passes quicker for what is read.
        const aging = setInterval(() => ageMail(database), AGE_EVERY_MS);
        onTestFinished(() => clearInterval(aging));
        const [before, began] = [fleet.calls, performance.now()];
        await fleet.work(WORKERS, pace(rate, left));
        const reached = ((fleet.calls - before) * 1000) / (performance.now() - began);
        clearInterval(aging);
        const { first, last } = sampler.end();
        const foundMs = await timeToBeFound(call);
        const kept = await history(call, old.inbox);
        const complaints = bus
          .log()
          .split("\n")
          .filter((line) => /^\{"level":[56]0/.test(line));
        await bus.stop();

        const figures = Object.keys(MARGIN) as (keyof typeof MARGIN)[];
        report("soak", {
          seconds: SECONDS,
          "calls/s possible": Math.round(capacity),
          "calls/s made": Math.round(reached),
          calls: fleet.calls,
          ...Object.fromEntries(figures.map((name) => [name, `${first[name].toFixed(1)} -> ${last[name].toFixed(1)}`])),
          bounces: fleet.bounces,
          "ms to be found": Math.round(foundMs),
          "old messages gone": old.messages - kept.length,
          "MiB of database": Math.round(statSync(database).size / 2 ** 20),
        });
        for (const name of figures) {
          expect(last[name], name).toBeLessThan(Math.max(first[name], WARM[name]) * 1.1 + MARGIN[name]);
        }
        expect(kept.map(({ subject }) => subject)).toEqual(old.unread);
        expect(fleet.bounces, "the sweeper's letters").toBeGreaterThan(0);
        expect(complaints).toEqual([]);
        expect(faultsOf(database)).toEqual([]);
        expect(new Database(database, { readonly: true }).pragma("integrity_check", { simple: true })).toBe("ok");
      }),
  );
});
