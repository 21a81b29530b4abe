/** A third of all answers never arrives: with a request_id a caller asks again, and nothing is done twice or lost. */
import { describe, expect, test } from "vitest";
import { faultsOf } from "../fixtures/database-checks.ts";
import { history, jsonCalls } from "../fixtures/json-calls.ts";
import { chanceFrom, programme, report } from "../fixtures/programme.ts";
import { spawnBus } from "../start-bus.ts";
import { Caller, type Errands, type Handed, LEASE_SECONDS } from "./lost-responses/errands.ts";
import { startLossyProxy } from "./lost-responses/lossy-proxy.ts";
import { IS_LONG } from "./settings.ts";

const SENDS = IS_LONG ? 100_000 : 5000;
const LOSS = 0.3;
const SENDERS = 24;
const WORKERS = 6;
const READERS = 4;
/** After the last Send all of the mail must be handed out within this. */
const PATIENCE_MS = 2000 * LEASE_SECONDS;
const SHOWN = 5;

/** Ids that answers of more than one lease or pull had. */
function handedTwice(handed: readonly Handed[]): string[] {
  const by = new Map<string, Set<string>>();
  for (const { id, by: hand } of handed) by.set(id, (by.get(id) ?? new Set()).add(hand));
  return [...by]
    .filter(([, hands]) => hands.size > 1)
    .map(([id, hands]) => `${id}: handed out by ${[...hands].join(", ")}`);
}

describe("callers whose answers get lost", () => {
  test(
    `${SENDS} Sends, leases and reads are each done once, though ${LOSS * 100} % of the answers are lost`,
    { timeout: 3_600_000 },
    () =>
      programme(async (chance) => {
        const bus = await spawnBus();
        const direct = jsonCalls(bus.port);
        const proxy = await startLossyProxy(bus.port, LOSS, chanceFrom(chance));
        const errands: Errands = { sent: new Map(), leased: [], read: [], refused: [] };
        const caller = () => new Caller(jsonCalls(proxy.port), chanceFrom(chance), errands);

        let next = 0;
        let sending = SENDERS;
        let deadline: number | undefined;
        const senders = Array.from({ length: SENDERS }, async (_, s) => {
          const sender = caller();
          while (next < SENDS) await sender.send(`sender-${s}`, `request-${next++}`);
          sending--;
        });
        const over = (inbox: string) => async () => {
          if (sending > 0) return false; // cheap, and asked before every pull
          deadline ??= Date.now() + PATIENCE_MS;
          if (Date.now() > deadline) return true;
          const { body } = await direct<{ agents: { unreadCount: number }[] }>("ListAgents", { query: inbox });
          return body.agents[0]?.unreadCount === 0;
        };
        await Promise.all([
          ...senders,
          ...Array.from({ length: WORKERS }, (_, n) => caller().work(`worker-${n}`, over("leased"))),
          ...Array.from({ length: READERS }, (_, n) => caller().read(`reader-${n}`, over("read"))),
        ]);

        const inboxes = { leased: await history(direct, "leased"), read: await history(direct, "read") };
        const stored = [...inboxes.leased, ...inboxes.read];
        const twice = [...handedTwice(errands.leased), ...handedTwice(errands.read)];
        const seen = new Set([...errands.leased, ...errands.read].map(({ id }) => id));
        const unseen = stored.filter(({ id }) => !seen.has(id)).map(({ id }) => `${id}: handed out to nobody`);
        // A request that came late, after all of its repeats were done with, holds its mail for nobody until its lease ends.
        const again = errands.leased.filter(({ attempt }) => attempt !== 1);
        const changed = stored.filter(({ id, subject }) => errands.sent.get(subject) !== id);
        report("lost responses", {
          requests: proxy.forwarded,
          ...Object.fromEntries(Object.entries(proxy.lost).map(([where, count]) => [`cut ${where}`, count])),
          "distinct Sends": errands.sent.size,
          stored: stored.length,
          leased: errands.leased.length,
          read: errands.read.length,
          "handed out twice": twice.length,
          "to nobody": unseen.length,
          "after a lease of nobody": again.length,
        });
        const wrong = [
          twice,
          unseen,
          changed.map(({ id, subject }) => `${subject}: stored as ${id}, answered as ${errands.sent.get(subject)}`),
          stored.filter(({ state }) => state !== "DELIVERY_STATE_READ").map(({ id, state }) => `${id}: ${state}`),
          errands.refused,
          faultsOf(`${bus.folder}/bus.db`),
          bus
            .log()
            .split("\n")
            .filter((line) => /^\{"level":[56]0/.test(line)),
        ];
        expect(wrong.flatMap((list) => list.slice(0, SHOWN))).toEqual([]);
        expect(stored).toHaveLength(SENDS);
        expect(errands.sent.size).toBe(SENDS);
        expect(again.length, "leases that nobody got").toBeLessThan(SENDS / 20);
      }),
  );
});
