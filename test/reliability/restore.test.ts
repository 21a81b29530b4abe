/** Every copy that `agentbus backup` makes of a bus at work is a bus: whole, sound, with all that was answered before. */
import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { faultsOf } from "../fixtures/database-checks.ts";
import { history, jsonCalls } from "../fixtures/json-calls.ts";
import { chanceFrom, programme, report } from "../fixtures/programme.ts";
import { spawnBus, startBus, temporaryFolder } from "../start-bus.ts";
import { INBOX, type Sent, Traffic } from "./restore/traffic.ts";
import { IS_LONG } from "./settings.ts";

const MAIN = new URL("../../dist/cli/main.js", import.meta.url).pathname;
const MIN_BACKUPS = IS_LONG ? 200 : 3;
const MIN_MS = IS_LONG ? 0 : 8000;
const BETWEEN_MS = 300;
const SENDERS = 12;
const WORKERS = 2;
const SHOWN = 5;

interface Before {
  readonly sent: readonly Sent[];
  readonly acked: readonly string[];
}

/** What is wrong with the copy in this folder, in words. */
async function faultsOfCopy(folder: string, before: Before, traffic: Traffic): Promise<string[]> {
  const faults = faultsOf(`${folder}/bus.db`);
  const bus = await startBus({}, folder);
  const stored = await history(jsonCalls(bus.port), INBOX, { maxBodyBytes: 1_000_000 });
  const byId = new Map(stored.map((message) => [message.id, message]));
  for (const { id, request } of before.sent) {
    const { subject, body, state } = byId.get(id) ?? {};
    if (subject !== request.subject || body !== request.body)
      faults.push(`${id} "${request.subject}" is missing: ${state}`);
  }
  for (const id of before.acked) {
    const state = byId.get(id)?.state;
    if (state !== "DELIVERY_STATE_READ") faults.push(`${id} was acked, and is ${state}`);
  }
  for (const { subject } of stored) if (!traffic.tried.has(subject)) faults.push(`"${subject}": nobody sent it`);
  const last = before.sent.at(-1);
  if (last !== undefined) {
    const { id, deduplicated } = await bus.ok("Send", { ...last.request, to: INBOX });
    if (id !== last.id || !deduplicated) faults.push(`the copy stored "${last.request.subject}" again`);
  }
  const unread = stored.filter(({ state }) => state === "DELIVERY_STATE_UNREAD").map(({ id }) => id);
  const { messages } = await bus.ok("PullInbox", { agent: INBOX, markRead: true, maxMessages: 1000, maxBodyBytes: 1 });
  const handed = messages.map(({ id }: { id: string }) => id);
  // Those whose lease ran out between the two questions come too.
  for (const id of unread.slice(0, 100))
    if (!handed.includes(id)) faults.push(`${id} is UNREAD, and was not handed out`);
  await bus.stop();
  return faults;
}

describe("a backup of a bus at work", () => {
  test("is a bus with everything that was answered before it began", { timeout: 3_600_000 }, () =>
    programme(async (chance) => {
      const bus = await spawnBus();
      const traffic = new Traffic(jsonCalls(bus.port));
      const chances = (count: number) => Array.from({ length: count }, () => chanceFrom(chance));
      traffic.begin({ senders: chances(SENDERS), workers: chances(WORKERS) });
      const began = performance.now();
      const faults: string[] = [];
      let [backups, checked, bytes, ms] = [0, 0, 0, 0];
      for (; backups < MIN_BACKUPS || performance.now() - began < MIN_MS; backups++) {
        await sleep(chance.integer(BETWEEN_MS));
        const before = { sent: [...traffic.sent], acked: [...traffic.acked] };
        const folder = temporaryFolder();
        const words = ["backup", `${folder}/bus.db`, "--store", `sqlite:${bus.folder}/bus.db`, "--json"];
        const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...words]);
        const made = JSON.parse(stdout) as { bytes: number; milliseconds: number };
        const found = faultsOfCopy(folder, before, traffic).catch((error) => [`the copy is of no use: ${error}`]);
        faults.push(...(await found));
        checked += before.sent.length + before.acked.length;
        bytes = Math.max(bytes, made.bytes);
        ms = Math.max(ms, made.milliseconds);
      }
      await traffic.end();
      report("restore", {
        backups,
        "answers looked for in them": checked,
        faults: faults.length,
        "sent meanwhile": traffic.sent.length,
        "MB the largest": (bytes / 1e6).toFixed(1),
        "ms the slowest": ms,
      });
      expect(faults.slice(0, SHOWN)).toEqual([]);
      expect(checked).toBeGreaterThan(0);
    }),
  );
});
