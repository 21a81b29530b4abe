/** What a store tells whoever watches the fleet: what each transaction did, once, and how each inbox stands. */
import { describe, expect, test } from "vitest";
import type { Commit, Inbox } from "#dist/store.js";
import { begin, ids, MINUTE, NOON, type OpenStore, type StoreUnderTest } from "../store-under-test.ts";

type Facts = Omit<Commit, "writes" | "milliseconds">;

const NOTHING: Facts = { stored: 0, repeated: 0, refused: {}, redelivered: 0, died: {}, bounced: 0 };

function sum<K extends string>(counts: readonly Readonly<Partial<Record<K, number>>>[]): Partial<Record<K, number>> {
  const total: Partial<Record<K, number>> = {};
  for (const each of counts) {
    for (const [key, count] of Object.entries(each) as [K, number][]) total[key] = (total[key] ?? 0) + count;
  }
  return total;
}

/** What was told since the last time, of all transactions together. */
function told({ commits }: StoreUnderTest): Facts {
  const all = commits.splice(0);
  const total = (count: (commit: Commit) => number) => all.reduce((so, commit) => so + count(commit), 0);
  return {
    stored: total(({ stored }) => stored),
    repeated: total(({ repeated }) => repeated),
    refused: sum(all.map(({ refused }) => refused)),
    redelivered: total(({ redelivered }) => redelivered),
    died: sum(all.map(({ died }) => died)),
    bounced: total(({ bounced }) => bounced),
  };
}

async function inboxes(mail: StoreUnderTest): Promise<readonly Inbox[]> {
  return (await mail.store.inboxes(1000, undefined)).items;
}

export function testWatching(open: OpenStore): void {
  describe("what a transaction did", () => {
    test("is told after it: how many writes, how long it took", async () => {
      const mail = await begin(open);
      mail.commits.length = 0;
      await Promise.all([mail.send(), mail.send(), mail.batch({}, {})]);
      const all = mail.commits.splice(0);
      expect(all.reduce((so, { writes }) => so + writes, 0)).toBe(3);
      expect(all.reduce((so, { stored }) => so + stored, 0)).toBe(4);
      for (const { milliseconds } of all) expect(milliseconds).toBeGreaterThan(0);
    });

    test("has messages stored, repeated and refused, item by item", async () => {
      const mail = await begin(open, { rateLimit: { count: 3, windowMs: MINUTE }, maxInbox: 2, maxHops: 1 });
      await mail.register("jack", "joe");
      told(mail);
      await mail.batch({ requestId: "r" }, { requestId: "r" }, { requestId: "r", body: "other" });
      expect(told(mail)).toEqual({ ...NOTHING, stored: 1, repeated: 1, refused: { REQUEST_ID_REUSED: 1 } });
      await mail.batch({}, {}, { to: "jill" }, { to: "jill" });
      expect(told(mail)).toEqual({ ...NOTHING, stored: 2, refused: { INBOX_FULL: 1, RATE_LIMITED: 1 } });
      await mail.send({ from: "jill", to: "ALL" });
      expect(told(mail)).toEqual({ ...NOTHING, stored: 1, died: { INBOX_FULL: 1 } });
    });

    test("has no redelivery for what is handed out once, looked at, repeated or given back", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2");
      await mail.look("jack");
      const { leaseId } = await mail.lease("jack", MINUTE, { requestId: "r" });
      await mail.lease("jack", MINUTE, { requestId: "r" });
      await mail.store.giveBack("jack", leaseId, undefined);
      const again = await mail.lease("jack", MINUTE);
      await mail.store.ack("jack", ids(again), again.leaseId);
      expect(told(mail)).toEqual({ ...NOTHING, stored: 2 });
    });

    test("has a redelivery for each delivery that is taken again after its lease ran out, in any mode", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2");
      await mail.lease("jack", MINUTE);
      told(mail);
      mail.later(MINUTE);
      await mail.look("jack");
      expect(told(mail).redelivered).toBe(0);
      await mail.lease("jack", MINUTE);
      expect(told(mail).redelivered).toBe(2);
      mail.later(MINUTE);
      await mail.hold("jack", MINUTE, { maxMessages: 1 });
      expect(told(mail).redelivered).toBe(1);
      mail.later(MINUTE);
      await mail.read("jack", { requestId: "r" });
      expect(told(mail).redelivered).toBe(2);
      await mail.read("jack", { requestId: "r" });
      expect(told(mail)).toEqual(NOTHING);
    });

    test("has deaths by their reason and their bounces, once, when they are written down", async () => {
      const mail = await begin(open, { maxAttempts: 2 });
      await mail.register("joe", "jack");
      await mail.send({ to: "jack" });
      await mail.wearOut("jack", 2);
      await mail.send({ to: "jack", ttlMs: MINUTE });
      await mail.send({ to: "ALL", ttlMs: MINUTE });
      mail.later(MINUTE);
      await mail.send({ to: "jack" });
      told(mail);
      await mail.untilDone("sweep");
      expect(told(mail)).toEqual({ ...NOTHING, died: { ATTEMPTS_EXHAUSTED: 1, EXPIRED: 2 }, bounced: 2 });
      await mail.untilDone("sweep");
      expect(told(mail)).toEqual(NOTHING);
      await mail.store.removeAgent("jack", true);
      expect(told(mail)).toEqual({ ...NOTHING, died: { RECIPIENT_REMOVED: 1 }, bounced: 1 });
    });

    test("has nothing of what was refused whole", async () => {
      const mail = await begin(open);
      await mail.send();
      await mail.register("jack");
      told(mail);
      await expect(mail.store.removeAgent("jack", false)).rejects.toThrow("INBOX_NOT_EMPTY");
      expect(told(mail)).toEqual(NOTHING);
    });
  });

  describe("how the inboxes stand", () => {
    test("is told of all that are registered or have mail, page by page", async () => {
      const mail = await begin(open);
      await mail.register("joe", "jack", "gone", "empty");
      await mail.post("jack", "1", "2");
      mail.later(MINUTE);
      await mail.send({ to: "stranger" });
      await mail.send({ to: "gone" });
      await mail.store.removeAgent("gone", true);
      const all = await inboxes(mail);
      expect(all).toEqual([
        { agent: "empty", registered: true, unreadCount: 0, oldestUnreadAt: undefined, lastSeenAt: NOON },
        { agent: "jack", registered: true, unreadCount: 2, oldestUnreadAt: NOON, lastSeenAt: NOON },
        { agent: "joe", registered: true, unreadCount: 1, oldestUnreadAt: NOON + MINUTE, lastSeenAt: NOON + MINUTE },
        {
          agent: "stranger",
          registered: false,
          unreadCount: 1,
          oldestUnreadAt: NOON + MINUTE,
          lastSeenAt: undefined,
        },
      ]);
      const paged: Inbox[] = [];
      let after: string | undefined;
      do {
        const page = await mail.store.inboxes(3, after);
        expect(page.items.length).toBeLessThanOrEqual(3);
        paged.push(...page.items);
        after = page.next;
      } while (after !== undefined);
      expect(paged).toEqual(all);
    });

    test("counts what is leased, and no longer what was acked or has died", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2");
      await mail.send({ to: "jack", ttlMs: MINUTE });
      const jack = async () => (await inboxes(mail)).find(({ agent }) => agent === "jack");
      const { messages, leaseId } = await mail.lease("jack", 1, { maxMessages: 1 });
      expect(await jack()).toMatchObject({ unreadCount: 3, oldestUnreadAt: NOON });
      await mail.store.ack("jack", ids({ messages }), leaseId);
      expect(await jack()).toMatchObject({ unreadCount: 2 });
      mail.later(MINUTE);
      await mail.untilDone("sweep");
      expect(await jack()).toMatchObject({ unreadCount: 1 });
      await mail.read("jack");
      expect(await jack()).toMatchObject({ unreadCount: 0, oldestUnreadAt: undefined });
    });
  });
}
