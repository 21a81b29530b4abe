/** Ack: every id is acked, unknown or stale, and what counts under a lease. */
import { describe, expect, test } from "vitest";
import { begin, bodies, HOUR, ids, MINUTE, NOON, type OpenStore } from "../store-under-test.ts";

const acked = (ackedCount: number) => ({ ackedCount, unknown: [], stale: [] });

export function testAcking(open: OpenStore): void {
  describe("Ack", () => {
    test("makes what a look showed READ, so that it is never handed out again", async () => {
      const mail = await begin(open);
      const [one = "", two = ""] = await mail.post("jack", "1", "2");
      await mail.look("jack");
      mail.later(9);
      expect(await mail.store.ack("jack", [one], undefined)).toEqual(acked(1));
      expect(bodies(await mail.look("jack"))).toEqual(["2"]);
      expect(await mail.receipt(one, "jack")).toMatchObject({ state: "READ", readAt: NOON + 9 });
      expect(await mail.state("jack", two)).toBe("UNREAD");
      await mail.restart();
      mail.later(HOUR);
      expect(bodies(await mail.read("jack"))).toEqual(["2"]);
    });

    test("counts what was READ before, and leaves its time", async () => {
      const mail = await begin(open);
      const [one = "", two = ""] = await mail.post("jack", "1", "2");
      await mail.store.ack("jack", [one], undefined);
      await mail.read("jack");
      mail.later(HOUR);
      expect(await mail.store.ack("jack", [one, two], undefined)).toEqual(acked(2));
      expect((await mail.receipt(one, "jack")).readAt).toBe(NOON);
    });

    test("counts an id that is named twice once", async () => {
      const mail = await begin(open);
      const [id = ""] = await mail.post("jack", "1");
      expect(await mail.store.ack("jack", [id, id, "x", "x"], undefined)).toEqual({
        ackedCount: 1,
        unknown: ["x"],
        stale: [],
      });
    });

    test("lists as unknown what is not in this inbox, be it another's mail, one's own sent mail or no id", async () => {
      const mail = await begin(open);
      const [theirs = ""] = await mail.post("ann", "1");
      const sent = await mail.send({ from: "jack", to: "ann" });
      const asked = [theirs, sent.id, "00000000-0000-7000-8000-000000000000", "x y", "", "'; --", "\u{1f980}"];
      expect(await mail.store.ack("jack", asked, undefined)).toEqual({ ackedCount: 0, unknown: asked, stale: [] });
      expect(await mail.state("ann", theirs)).toBe("UNREAD");
    });

    test("of an agent that is not there knows no id and registers nobody", async () => {
      const mail = await begin(open);
      const [id = ""] = await mail.post("jack", "1");
      expect(await mail.store.ack("nobody", [id], undefined)).toEqual({ ackedCount: 0, unknown: [id], stale: [] });
      expect(await mail.registered()).toEqual(["joe"]);
    });

    test("works on mail that waits for an agent which never pulled", async () => {
      const mail = await begin(open);
      const [id = ""] = await mail.post("jack", "1");
      expect(await mail.store.ack("jack", [id], undefined)).toEqual(acked(1));
    });

    test("without a lease counts whoever holds the mail, and takes it from him", async () => {
      const mail = await begin(open);
      const [id = ""] = await mail.post("jack", "1");
      const { leaseId } = await mail.lease("jack", MINUTE);
      expect(await mail.store.ack("jack", [id], undefined)).toEqual(acked(1));
      expect(await mail.store.ack("jack", [id], leaseId)).toEqual(acked(1));
      mail.later(MINUTE);
      expect((await mail.look("jack")).messages).toEqual([]);
    });

    test("makes only one inbox's copy of a broadcast READ", async () => {
      const mail = await begin(open);
      await mail.register("ann", "bob");
      const { id } = await mail.send({ to: "ALL" });
      await mail.store.ack("ann", [id], undefined);
      expect([await mail.state("ann", id), await mail.state("bob", id)]).toEqual(["READ", "UNREAD"]);
    });

    test("of a thousand ids at once acks them all", async () => {
      const mail = await begin(open);
      await mail.batch(...Array.from({ length: 1000 }, () => ({})));
      const all = ids(await mail.look("jack", { maxMessages: 1000 }));
      expect(await mail.store.ack("jack", all, undefined)).toEqual(acked(1000));
      expect((await mail.look("jack")).messages).toEqual([]);
    });
  });

  describe("Ack with a lease_id", () => {
    test("counts while the lease runs", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2");
      const leased = await mail.lease("jack", MINUTE);
      mail.later(MINUTE - 1);
      expect(await mail.store.ack("jack", ids(leased), leased.leaseId)).toEqual(acked(2));
      expect(await mail.store.ack("jack", ids(leased), leased.leaseId)).toEqual(acked(2));
    });

    test("counts after the lease ran out, as long as nobody took the mail over", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      const leased = await mail.lease("jack", MINUTE);
      mail.later(HOUR);
      expect((await mail.look("jack")).messages).toHaveLength(1);
      expect(await mail.store.ack("jack", ids(leased), leased.leaseId)).toEqual(acked(1));
      expect((await mail.look("jack")).messages).toEqual([]);
    });

    test("is stale when another lease took the mail over, also after that one ran out", async () => {
      const mail = await begin(open);
      const [id = ""] = await mail.post("jack", "1");
      const first = await mail.lease("jack", MINUTE);
      mail.later(MINUTE);
      const second = await mail.lease("jack", MINUTE);
      const stale = { ackedCount: 0, unknown: [], stale: [id] };
      expect(await mail.store.ack("jack", [id], first.leaseId)).toEqual(stale);
      expect(await mail.state("jack", id)).toBe("LEASED");
      mail.later(MINUTE);
      expect(await mail.store.ack("jack", [id], first.leaseId)).toEqual(stale);
      expect(await mail.state("jack", id)).toBe("UNREAD");
      expect(await mail.store.ack("jack", [id], second.leaseId)).toEqual(acked(1));
    });

    test("is stale when another lease took the mail over, even when it is READ since", async () => {
      const mail = await begin(open);
      const [id = ""] = await mail.post("jack", "1");
      const first = await mail.lease("jack", MINUTE);
      mail.later(MINUTE);
      const second = await mail.lease("jack", MINUTE);
      await mail.store.ack("jack", [id], second.leaseId);
      expect(await mail.store.ack("jack", [id], first.leaseId)).toEqual({ ackedCount: 0, unknown: [], stale: [id] });
      expect(await mail.store.ack("jack", [id], second.leaseId)).toEqual(acked(1));
    });

    test("is stale when a pull with mark_read took the mail over", async () => {
      const mail = await begin(open);
      const [one = "", two = ""] = await mail.post("jack", "1", "2");
      const first = await mail.lease("jack", MINUTE);
      mail.later(MINUTE);
      await mail.read("jack", { maxMessages: 1 });
      await mail.read("jack", { maxMessages: 1, requestId: "k" });
      expect(await mail.store.ack("jack", [one, two], first.leaseId)).toEqual({
        ackedCount: 0,
        unknown: [],
        stale: [one, two],
      });
    });

    test("is stale for mail that this lease never held", async () => {
      const mail = await begin(open);
      const [, two = ""] = await mail.post("jack", "1", "2");
      const first = await mail.lease("jack", MINUTE, { maxMessages: 1 });
      expect(await mail.store.ack("jack", [two], first.leaseId)).toEqual({ ackedCount: 0, unknown: [], stale: [two] });
      expect(await mail.state("jack", two)).toBe("UNREAD");
    });

    test("counts for mail that was acked without one meanwhile", async () => {
      const mail = await begin(open);
      const [id = ""] = await mail.post("jack", "1");
      const { leaseId } = await mail.lease("jack", MINUTE);
      mail.later(MINUTE);
      await mail.store.ack("jack", [id], undefined);
      expect(await mail.store.ack("jack", [id], leaseId)).toEqual(acked(1));
    });

    test("puts every id into exactly one group", async () => {
      const mail = await begin(open);
      const [held = "", over = "", before = ""] = await mail.post("jack", "1", "2", "3");
      const first = await mail.lease("jack", MINUTE);
      await mail.store.ack("jack", [before], first.leaseId);
      await mail.store.giveBack("jack", first.leaseId, [over]);
      await mail.lease("jack", HOUR);
      const foreign = (await mail.post("ann", "4"))[0] ?? "";
      expect(await mail.store.ack("jack", [foreign, over, before, held, "x"], first.leaseId)).toEqual({
        ackedCount: 2,
        unknown: [foreign, "x"],
        stale: [over],
      });
    });
  });

  describe("Ack of a dead letter", () => {
    test("is stale, with and without the lease that held it last", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      const [id = ""] = await mail.post("jack", "1");
      const { leaseId } = await mail.lease("jack", MINUTE);
      mail.later(MINUTE);
      for (const lease of [undefined, leaseId]) {
        expect(await mail.store.ack("jack", [id], lease)).toEqual({ ackedCount: 0, unknown: [], stale: [id] });
      }
      expect(await mail.state("jack", id)).toBe("DEAD");
    });

    test("is stale when the ttl ended it", async () => {
      const mail = await begin(open);
      const { id } = await mail.send({ ttlMs: MINUTE });
      mail.later(MINUTE);
      expect(await mail.store.ack("jack", [id], undefined)).toEqual({ ackedCount: 0, unknown: [], stale: [id] });
    });
  });
}
