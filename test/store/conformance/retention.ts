/** How long mail is kept after its end, and how long a request key is. */
import { describe, expect, test } from "vitest";
import { begin, bodies, DAY, HOUR, MINUTE, NOON, type OpenStore, type StoreUnderTest } from "../store-under-test.ts";

async function isThere(mail: StoreUnderTest, id: string): Promise<boolean> {
  await mail.untilDone("sweep");
  await mail.untilDone("retain");
  return (await mail.store.getReceipt(id, 1, undefined)) !== undefined;
}

export function testRetention(open: OpenStore): void {
  describe("what was kept long enough", () => {
    test("goes, counted from when it was read", async () => {
      const mail = await begin(open, { retentionMs: 30 * DAY });
      const [id = ""] = await mail.post("jack", "1");
      mail.later(10 * DAY);
      await mail.read("jack");
      mail.later(30 * DAY - 1);
      expect(await isThere(mail, id)).toBe(true);
      mail.later(1);
      expect(await isThere(mail, id)).toBe(false);
      expect(await mail.store.getMessage("jack", id)).toBeUndefined();
      expect(await mail.store.getMessage("joe", id)).toBeUndefined();
      for (const box of ["INBOX", "SENT"] as const) {
        for (const agent of ["joe", "jack"]) expect((await mail.history(agent, { box })).items).toEqual([]);
      }
      expect(await mail.registered()).toEqual(["jack", "joe"]);
    });

    test("goes, counted from when it died, whenever that was written down", async () => {
      const mail = await begin(open, { retentionMs: DAY });
      const { id } = await mail.send({ ttlMs: HOUR });
      mail.now = NOON + HOUR + DAY - 1;
      expect(await isThere(mail, id)).toBe(true);
      mail.later(1);
      expect(await isThere(mail, id)).toBe(false);
      expect((await mail.look("joe")).messages).toMatchObject([{ sender: "bus", inReplyTo: id }]);
    });

    test("is never unread or leased", async () => {
      const mail = await begin(open, { retentionMs: HOUR });
      await mail.post("jack", "1", "2");
      await mail.lease("jack", 1000 * DAY, { maxMessages: 1 });
      mail.later(500 * DAY);
      await mail.untilDone("retain");
      expect(bodies(await mail.look("jack"))).toEqual(["2"]);
      mail.later(500 * DAY);
      await mail.untilDone("retain");
      expect(bodies(await mail.look("jack"))).toEqual(["1", "2"]);
    });

    test("goes with all its receipts when its last delivery is due", async () => {
      const mail = await begin(open, { retentionMs: DAY });
      await mail.register("ann", "bob");
      const { id } = await mail.send({ to: "ALL" });
      await mail.read("ann");
      mail.later(10 * DAY);
      expect(await isThere(mail, id)).toBe(true);
      expect((await mail.receipt(id, "ann")).state).toBe("READ");
      await mail.read("bob");
      mail.later(DAY);
      expect(await isThere(mail, id)).toBe(false);
    });

    test("can be a broadcast that reached nobody, thirty days after it", async () => {
      const mail = await begin(open, { retentionMs: 30 * DAY });
      const { id } = await mail.send({ to: "ALL" });
      mail.later(30 * DAY - 1);
      expect(await isThere(mail, id)).toBe(true);
      mail.later(1);
      expect(await isThere(mail, id)).toBe(false);
    });

    test("can be very much at once, and takes nothing else with it", async () => {
      const mail = await begin(open, { retentionMs: DAY });
      await mail.batch(...Array.from({ length: 900 }, () => ({})));
      await mail.read("jack", { maxMessages: 1000 });
      mail.later(12 * HOUR);
      const kept = await mail.post("jack", "read later", "unread");
      await mail.read("jack", { maxMessages: 1 });
      mail.later(12 * HOUR);
      await mail.untilDone("retain");
      expect((await mail.history("jack")).items.map(({ id }) => id)).toEqual(kept.reverse());
    });

    test("is nobody's parent any more: an answer to it begins a new chain", async () => {
      const mail = await begin(open, { retentionMs: HOUR });
      const first = await mail.send();
      const second = await mail.send({ inReplyTo: first.id });
      await mail.read("jack");
      mail.later(HOUR);
      expect(await isThere(mail, second.id)).toBe(false);
      await mail.send({ inReplyTo: second.id });
      expect((await mail.look("jack")).messages).toMatchObject([{ hops: 1, inReplyTo: second.id }]);
    });
  });

  describe("a request key", () => {
    test("outlives its message for sixty days from the Send, and is free after that", async () => {
      const mail = await begin(open, { retentionMs: HOUR });
      const first = await mail.send({ requestId: "k" });
      await mail.read("jack");
      mail.later(60 * DAY - MINUTE);
      expect(await isThere(mail, first.id)).toBe(false);
      expect(await mail.send({ requestId: "k" })).toMatchObject({ id: first.id, timestamp: NOON, deduplicated: true });
      expect((await mail.look("jack")).messages).toEqual([]);
      mail.later(2 * MINUTE);
      await mail.untilDone("retain");
      expect((await mail.send({ requestId: "k", body: "other" })).deduplicated).toBe(false);
      expect(bodies(await mail.look("jack"))).toEqual(["other"]);
    });

    test("lives as long as its message, however long that is", async () => {
      const mail = await begin(open, { retentionMs: HOUR });
      const first = await mail.send({ requestId: "k" });
      mail.later(400 * DAY);
      await mail.untilDone("retain");
      expect(await mail.send({ requestId: "k" })).toMatchObject({ id: first.id, deduplicated: true });
      await mail.read("jack");
      mail.later(HOUR);
      await mail.untilDone("retain");
      await mail.untilDone("retain");
      expect((await mail.send({ requestId: "k" })).deduplicated).toBe(false);
    });
  });
}
