/** kill -9 at any instant, again and again, under load: what was answered is so, once; what was not may be so or not. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { faultsOf } from "../fixtures/database-checks.ts";
import { history, jsonCalls } from "../fixtures/json-calls.ts";
import { chanceFrom, programme, report } from "../fixtures/programme.ts";
import { temporaryFolder } from "../start-bus.ts";
import type { Chance } from "../wire/seeded-chance.ts";
import { Book } from "./kill/book.ts";
import { INBOXES, looker, reader, sender, worker } from "./kill/clients.ts";
import { DoomedBus, freePort } from "./kill/doomed-bus.ts";
import { IS_LONG } from "./settings.ts";

const SENDERS = 64;
const MIN_KILLS = IS_LONG ? 1000 : 100;
const MIN_MS = IS_LONG ? 0 : 36_000;
const FIRST_REQUESTS_MS = 100;
/** Of what is wrong, so many of each kind. */
const SHOWN = 5;
/** A lease that is given up must not make mail DEAD, however often the bus is killed. */
const FLAGS = ["--max-attempts", "1000"];

const AIMS = ["starting", "load", "first", "load"] as const;
type Aim = (typeof AIMS)[number];
type Instant = "while starting" | "at the first requests" | "under load";

/** Starts a bus and kills it at a random instant of the kind aimed at. Resolves to the kind it really was. */
async function startAndKill(start: () => DoomedBus, aim: Aim, chance: Chance): Promise<Instant> {
  const bus = start();
  const began = performance.now();
  if (aim === "starting") await sleep(chance.integer(startMs));
  else {
    await listening(bus);
    startMs = performance.now() - began;
    await sleep(aim === "first" ? chance.integer(FIRST_REQUESTS_MS / 2) : FIRST_REQUESTS_MS + chance.integer(600));
  }
  const { listensSince } = bus;
  await bus.kill();
  expect(bus.complaints).toEqual([]);
  if (listensSince === undefined) return "while starting";
  return performance.now() - listensSince < FIRST_REQUESTS_MS ? "at the first requests" : "under load";
}

/** How long the last start took. */
let startMs = 500;

async function listening(bus: DoomedBus): Promise<void> {
  for (const deadline = Date.now() + 20_000; bus.listensSince === undefined; await sleep(2)) {
    if (bus.ended || Date.now() > deadline) throw new Error(`the bus did not start: ${bus.complaints.join("\n")}`);
  }
}

describe("a bus that is killed again and again", () => {
  test(`keeps every answer it gave to ${SENDERS} senders, to workers and to readers`, { timeout: 14_400_000 }, () =>
    programme(async (chance) => {
      const folder = temporaryFolder();
      const port = await freePort(chance);
      const start = () => DoomedBus.start(folder, port, FLAGS);
      const book = new Book();
      let stop = false;
      const call = jsonCalls(port);
      const party = () => ({ call, book, chance: chanceFrom(chance), stopped: () => stop });
      const clients = [
        ...Array.from({ length: SENDERS }, (_, n) => sender(party(), `sender-${n}`)),
        ...[1, 2, 3, 4].map((n) => worker(party(), `worker-${n}`)),
        ...[1, 2, 3].map((n) => reader(party(), `reader-${n}`)),
        ...[1, 2].map((n) => looker(party(), `looker-${n}`)),
      ];
      const kills: Record<Instant, number> = { "while starting": 0, "at the first requests": 0, "under load": 0 };
      const began = performance.now();
      for (let n = 0; n < MIN_KILLS || performance.now() - began < MIN_MS; n++) {
        kills[await startAndKill(start, AIMS[n % AIMS.length] as Aim, chance)]++;
      }

      const last = start();
      await listening(last);
      await sleep(FIRST_REQUESTS_MS);
      stop = true;
      await Promise.all(clients);
      await last.kill();
      const after = start();
      await listening(after);
      const stored = (await Promise.all(INBOXES.map((inbox) => history(call, inbox)))).flat();
      const faults = faultsOf(`${folder}/bus.db`);

      const verdict = book.judge(stored, new Set(["read"]));
      const { ok, unknown, lost, duplicate, unexpected, acks } = verdict;
      report("kill -9", {
        ...Object.fromEntries(Object.entries(kills).map(([instant, count]) => [`kills ${instant}`, count])),
        "sends ok": ok,
        lost: lost.length,
        unknown: `${unknown.stored} + ${unknown.absent} (stored + absent)`,
        duplicate: duplicate.length,
        unexpected: unexpected.length,
        "acks answered": acks.answered,
        "acks unknown": acks.unknown,
      });
      const wrong = [lost, duplicate, unexpected, faults].flatMap((list) => list.slice(0, SHOWN));
      expect(wrong).toEqual([]);
      expect(ok).toBeGreaterThan(SENDERS);
      expect(acks.answered).toBeGreaterThan(SENDERS);
      for (const [instant, count] of Object.entries(kills)) expect(count, instant).toBeGreaterThan(0);
    }),
  );
});
