/**
 * The outbox between real processes: the bus and the senders are killed -9 in the middle. What was answered `sent` or
 * `queued` arrives once, and what one process sends arrives in its order.
 */
import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { Drafts } from "#dist/client/outbox/drafts.js";
import { faultsOf } from "../fixtures/database-checks.ts";
import { history, jsonCalls } from "../fixtures/json-calls.ts";
import { programme, report } from "../fixtures/programme.ts";
import { temporaryFolder } from "../start-bus.ts";
import type { Chance } from "../wire/seeded-chance.ts";
import { DoomedBus, freePort } from "./kill/doomed-bus.ts";
import { SendingProcess } from "./outbox/agents.ts";
import { IS_LONG } from "./settings.ts";

const MAIN = new URL("../../dist/cli/main.js", import.meta.url).pathname;
const AGENTS = ["ann", "ben", "cay"] as const;
const PROCESSES = 8;
const LETTERS = 25;
/** The last of them each sends when the bus is back, while drafts wait. */
const LAST = 5;
const ROUNDS = IS_LONG ? 40 : 1;
const KILLS = IS_LONG ? 300 : 8;
/** Nothing listens there. */
const NOWHERE = "http://127.0.0.1:1";

const run = promisify(execFile);

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 60_000; !holds(); await sleep(5)) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
  }
}

/** What `agentbus outbox flush` sends; 4 and 5 say that more waits. */
async function flush(file: string, url: string, agent: string): Promise<number> {
  const env = { PATH: process.env["PATH"], AGENTBUS_OUTBOX: file, AGENTBUS_URL: url, AGENTBUS_AGENT: agent };
  const { stdout } = await run(process.execPath, [MAIN, "outbox", "flush", "--json"], { env });
  const { sent, waiting, setAside, expired, parked } = JSON.parse(stdout);
  expect({ waiting, setAside, expired, parked }).toEqual({ waiting: 0, setAside: 0, expired: 0, parked: 0 });
  return sent;
}

interface Figures {
  sent: number;
  queued: number;
  flushed: number;
  "never answered": number;
  lost: number;
  twice: number;
  "out of order": number;
}

async function round(chance: Chance, figures: Figures): Promise<string[]> {
  const folder = temporaryFolder();
  const file = `${folder}/state/outbox.db`;
  const port = await freePort(chance);
  const url = `http://127.0.0.1:${port}`;
  const start = async () => {
    const bus = DoomedBus.start(folder, port);
    await until("the bus listens", () => bus.listensSince !== undefined);
    return bus;
  };
  let bus = await start();
  const senders = Array.from({ length: PROCESSES }, (_, n) => {
    const agent = AGENTS[n % AGENTS.length] as string;
    return new SendingProcess({
      file,
      url,
      agent,
      name: `${agent}-${n}`,
      letters: LETTERS,
      pauseMs: 40,
      waitsAt: LETTERS - LAST,
    });
  });
  const told = () => senders.flatMap((sender) => sender.told);
  const ofStatus = (status: string) => told().filter((one) => one.status === status).length;
  const doomed = [senders[chance.integer(4)], senders[4 + chance.integer(4)]] as [SendingProcess, SendingProcess];

  // On a busy machine they may have sent more before the bus is killed than is left for the outbox.
  const atPause = () => senders.every((sender) => sender.isEnded || sender.told.length >= LETTERS - LAST);

  await until("some were sent", () => ofStatus("sent") >= 20);
  await bus.kill();
  await until("some are queued", () => ofStatus("queued") >= 30 || atPause());
  await doomed[0].kill();
  await until("more are queued", () => ofStatus("queued") >= 50 || atPause());
  bus = await start();
  for (const sender of senders.slice(0, PROCESSES / 2)) sender.goOn();
  await sleep(chance.integer(300));
  await doomed[1].kill();
  await bus.kill();
  await sleep(chance.integer(300));
  bus = await start();
  for (const sender of senders) sender.goOn();
  await Promise.all(senders.map((sender) => sender.ended()));
  // Two at once for each agent: harmless.
  const flushed = await Promise.all([...AGENTS, ...AGENTS].map((agent) => flush(file, url, agent)));

  const stored = (await history(jsonCalls(port), "inbox")).map(({ subject }) => subject);
  const faults = [...judge(senders, stored, figures), ...faultsOf(`${folder}/bus.db`), ...damages(file)];
  figures.sent += ofStatus("sent");
  figures.queued += ofStatus("queued");
  figures.flushed += flushed.reduce((sum, each) => sum + each, 0);
  await bus.kill();
  return faults;
}

/** What is wrong with what the bus has in the end. */
function judge(senders: readonly SendingProcess[], stored: readonly string[], figures: Figures): string[] {
  const answered = new Set(senders.flatMap(({ told }) => told.map(({ subject }) => subject)));
  const lost = [...answered].filter((subject) => !stored.includes(subject));
  const twice = stored.filter((subject, at) => stored.indexOf(subject) !== at);
  const disorder = senders.flatMap(({ name }) => {
    const numbers = stored.filter((subject) => subject.startsWith(`${name}/`)).map((one) => Number(one.split("/")[1]));
    return numbers.filter((n, at) => at > 0 && n < (numbers[at - 1] as number)).map((n) => `${name}/${n}`);
  });
  figures["never answered"] += stored.filter((subject) => !answered.has(subject)).length;
  figures.lost += lost.length;
  figures.twice += twice.length;
  figures["out of order"] += disorder.length;
  return [
    ...lost.map((subject) => `lost: ${subject}`),
    ...twice.map((subject) => `twice: ${subject}`),
    ...disorder.map((subject) => `out of order: ${subject}`),
  ];
}

/** What SQLite finds wrong with the file of drafts. */
function damages(file: string): string[] {
  const db = new Database(file);
  const verdicts = db.pragma("integrity_check") as { integrity_check: string }[];
  db.close();
  return verdicts.map((row) => row.integrity_check).filter((verdict) => verdict !== "ok");
}

describe("an outbox that processes of several agents share", () => {
  test(
    `loses, doubles and reorders nothing of ${PROCESSES} senders when bus and senders are killed`,
    { timeout: 14_400_000 },
    () =>
      programme(async (chance) => {
        const figures = { sent: 0, queued: 0, flushed: 0, "never answered": 0, lost: 0, twice: 0, "out of order": 0 };
        const faults: string[] = [];
        for (let n = 0; n < ROUNDS; n++) faults.push(...(await round(chance, figures)));
        report("outbox", { rounds: ROUNDS, ...figures });
        expect(faults.slice(0, 10)).toEqual([]);
        expect(figures.sent).toBeGreaterThanOrEqual(20 * ROUNDS);
        expect(figures.queued).toBeGreaterThan(0);
      }),
  );

  test("holds every draft that was answered `queued`, whenever its process is killed", { timeout: 14_400_000 }, () =>
    programme(async (chance) => {
      let kept = 0;
      let unanswered = 0;
      const wrong: string[] = [];
      for (let n = 0; n < KILLS; n++) {
        // Also at the making of the file.
        const file = `${temporaryFolder()}/outbox.db`;
        const errand = { file, url: NOWHERE, letters: 1000, pauseMs: 0, waitsAt: -1 };
        const senders = [1, 2].map((which) => new SendingProcess({ ...errand, agent: `a${which}`, name: `a${which}` }));
        const enough = chance.integer(n % 3 === 0 ? 2 : 60);
        await until("some are kept", () => senders.every(({ told }) => told.length >= enough));
        await sleep(chance.integer(10));
        await Promise.all(senders.map((sender) => sender.kill()));
        const drafts = new Drafts(file);
        const found = drafts.list().map(({ subject }) => subject);
        drafts.close();
        const answered = senders.flatMap(({ told }) => told.map(({ subject }) => subject));
        wrong.push(...answered.filter((subject) => !found.includes(subject)), ...damages(file));
        kept += answered.length;
        unanswered += found.length - answered.length;
      }
      report("outbox, its processes killed", {
        kills: 2 * KILLS,
        kept,
        "kept and not answered": unanswered,
        lost: wrong.length,
      });
      expect(wrong.slice(0, 10)).toEqual([]);
      expect(kept).toBeGreaterThan(KILLS);
    }),
  );
});
