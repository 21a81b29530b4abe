/** What a pull costs must not grow with the history of its inbox: medians compared, with room for a busy machine. */
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { temporaryFolder } from "../start-bus.ts";
import { openSqlite } from "./open-sqlite.ts";
import { begin, DAY, MINUTE, NOON, type StoreUnderTest } from "./store-under-test.ts";

const HISTORY = 200_000;
const ROUNDS = 41;
/** A scan of the history would take a hundred times as long. */
const FACTOR = 5;

/** A store where `old` has read and lost very much mail, `fresh` none, and both have a hundred unread messages. */
async function storeWithHistory(): Promise<StoreUnderTest> {
  const file = `${temporaryFolder()}/bus.db`;
  const mail = await begin((opening) => openSqlite(file, opening));
  await mail.register("joe", "old", "fresh");
  await mail.store.close();
  const db = new Database(file);
  db.exec(`
    create temp table numbers as
      with recursive n (i) as (select 1 union all select i + 1 from n where i < ${HISTORY}) select i from n;
    insert into messages (id, sender, recipient, subject, body, at, hops)
      select printf('history-%06d', i), joe.id, old.id, 'subject', 'a body', ${NOON - DAY} + i, 0
      from numbers, agents joe, agents old where joe.name = 'joe' and old.name = 'old';
    insert into deliveries (message, inbox, state, attempts, read_at, dead_at, dead_reason)
      select m.seq, m.recipient, iif(m.seq % 10, 3, 4), 1, iif(m.seq % 10, m.at, null), iif(m.seq % 10, null, m.at),
        iif(m.seq % 10, null, 'EXPIRED') from messages m;`);
  db.close();
  await mail.restart();
  for (const to of ["old", "fresh"]) {
    await mail.batch(...Array.from({ length: 100 }, () => ({ to, body: "x".repeat(500) })));
  }
  return mail;
}

/** Milliseconds, one inbox after the other, so that a busy machine strikes both alike. */
async function medians(work: (agent: string) => Promise<unknown>): Promise<{ old: number; fresh: number }> {
  const times = { old: [] as number[], fresh: [] as number[] };
  for (let i = 0; i < ROUNDS; i++) {
    for (const agent of ["old", "fresh"] as const) {
      const began = performance.now();
      await work(agent);
      times[agent].push(performance.now() - began);
    }
  }
  const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
  return { old: median(times.old), fresh: median(times.fresh) };
}

test("pulling, acking and counting cost the same in an inbox with 200,000 old messages as in a new one", async () => {
  const mail = await storeWithHistory();
  const works: Record<string, (agent: string) => Promise<unknown>> = {
    "a look at 50": async (agent) => {
      expect((await mail.look(agent)).messages).toHaveLength(50);
    },
    "a lease of 50, given back": async (agent) => {
      const { leaseId, messages } = await mail.lease(agent, MINUTE);
      expect(messages).toHaveLength(50);
      await mail.store.giveBack(agent, leaseId, undefined);
    },
    "registering, with its counts": (agent) => mail.store.registerAgent(agent, undefined),
    "a Send and its Ack": async (agent) => {
      const { id } = await mail.send({ to: agent });
      expect((await mail.store.ack(agent, [id], undefined)).ackedCount).toBe(1);
    },
    "a read of 1": async (agent) => {
      expect((await mail.read(agent, { maxMessages: 1 })).messages).toHaveLength(1);
    },
  };
  for (const [name, work] of Object.entries(works)) {
    const { old, fresh } = await medians(work);
    expect(old, `${name}: ${old.toFixed(2)} ms, in a new inbox ${fresh.toFixed(2)} ms`).toBeLessThan(
      FACTOR * fresh + 1,
    );
  }
  // Nothing is left: an empty pull must not look through the history either.
  for (const agent of ["old", "fresh"]) await mail.read(agent, { maxMessages: 1000 });
  const { old, fresh } = await medians(async (agent) => {
    for (let i = 0; i < 20; i++) expect((await mail.look(agent)).messages).toEqual([]);
  });
  expect(old, `20 empty looks: ${old.toFixed(2)} ms, in a new inbox ${fresh.toFixed(2)} ms`).toBeLessThan(
    FACTOR * fresh + 1,
  );
});
