/** Giving a lease back, whole or in part: at once, without an attempt, and without ever failing. */
import { describe, expect, test } from "vitest";
import { begin, bodies, HOUR, ids, MINUTE, type OpenStore } from "../store-under-test.ts";

export function testGivingBack(open: OpenStore): void {
  describe("giving a lease back", () => {
    test("makes the mail unread at once, at its old place, without counting an attempt", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2");
      const { leaseId } = await mail.lease("jack", MINUTE);
      await mail.post("jack", "3");
      expect(await mail.store.giveBack("jack", leaseId, undefined)).toEqual({ expireAt: undefined, stale: [] });
      expect(bodies(await mail.look("jack"))).toEqual(["1", "2", "3"]);
      expect((await mail.lease("jack", MINUTE)).messages).toMatchObject([
        { deliveryAttempt: 1 },
        { deliveryAttempt: 1 },
        { deliveryAttempt: 1 },
      ]);
    });

    test("takes back only its own attempt", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      await mail.wearOut("jack", 2);
      const { leaseId } = await mail.lease("jack", MINUTE);
      await mail.store.giveBack("jack", leaseId, undefined);
      expect((await mail.lease("jack", MINUTE)).messages).toMatchObject([{ deliveryAttempt: 3 }]);
    });

    test("of the last attempt leaves one more", async () => {
      const mail = await begin(open, { maxAttempts: 2 });
      const [id] = await mail.post("jack", "1");
      await mail.wearOut("jack", 1);
      for (let i = 0; i < 5; i++) {
        const { leaseId } = await mail.lease("jack", MINUTE);
        await mail.store.giveBack("jack", leaseId, undefined);
      }
      mail.later(HOUR);
      expect(await mail.state("jack", id)).toBe("UNREAD");
    });

    test("in part gives back just what is named; the rest stays held until the same time", async () => {
      const mail = await begin(open);
      const [, two = ""] = await mail.post("jack", "1", "2", "3");
      const first = await mail.lease("jack", MINUTE, { requestId: "k" });
      expect(await mail.store.giveBack("jack", first.leaseId, [two])).toEqual({ expireAt: undefined, stale: [] });
      expect(bodies(await mail.look("jack"))).toEqual(["2"]);
      const rest = await mail.lease("jack", MINUTE, { requestId: "k" });
      expect([bodies(rest), rest.lease]).toEqual([["1", "3"], first.lease]);
    });

    test("in part lists as stale what is named and not held", async () => {
      const mail = await begin(open);
      const [one = "", two = "", three = ""] = await mail.post("jack", "1", "2", "3");
      const [never = ""] = await mail.post("ann", "4");
      const { leaseId } = await mail.lease("jack", MINUTE);
      await mail.store.ack("jack", [one], leaseId);
      await mail.store.giveBack("jack", leaseId, [two]);
      const { stale } = await mail.store.giveBack("jack", leaseId, [one, two, three, never, "no id", "no id"]);
      expect([...stale].sort()).toEqual([one, two, never, "no id"].sort());
      expect(await mail.state("jack", three)).toBe("UNREAD");
      expect(await mail.state("jack", one)).toBe("READ");
    });

    test("whole lists as stale what it held once and holds no more", async () => {
      const mail = await begin(open);
      const [one = "", two] = await mail.post("jack", "1", "2");
      const { leaseId } = await mail.lease("jack", MINUTE);
      await mail.store.ack("jack", [one], undefined);
      expect((await mail.store.giveBack("jack", leaseId, undefined)).stale).toEqual([one]);
      expect(bodies(await mail.look("jack"))).toEqual(["2"]);
      expect(new Set((await mail.store.giveBack("jack", leaseId, undefined)).stale)).toEqual(new Set([one, two]));
    });

    test("never fails, whatever the lease, the ids or the agent", async () => {
      const mail = await begin(open);
      const [id = ""] = await mail.post("jack", "1");
      expect(await mail.store.giveBack("jack", "no-lease", undefined)).toEqual({ expireAt: undefined, stale: [] });
      expect(await mail.store.giveBack("jack", "no-lease", [id])).toEqual({ expireAt: undefined, stale: [id] });
      expect(await mail.store.giveBack("nobody", "no-lease", ["x"])).toEqual({ expireAt: undefined, stale: ["x"] });
      expect(await mail.registered()).not.toContain("nobody");
    });

    test("does nothing through another agent", async () => {
      const mail = await begin(open);
      const [id = ""] = await mail.post("jack", "1");
      const { leaseId } = await mail.lease("jack", MINUTE);
      expect((await mail.store.giveBack("joe", leaseId, [id])).stale).toEqual([id]);
      expect(await mail.state("jack", id)).toBe("LEASED");
    });

    test("that has run out changes nothing: the attempt stays counted", async () => {
      const mail = await begin(open);
      const [id] = await mail.post("jack", "1");
      const { leaseId } = await mail.lease("jack", MINUTE);
      mail.later(MINUTE);
      expect((await mail.store.giveBack("jack", leaseId, undefined)).stale).toEqual([id]);
      expect((await mail.lease("jack", MINUTE)).messages).toMatchObject([{ deliveryAttempt: 2 }]);
    });

    test("that was taken over leaves the new holder alone", async () => {
      const mail = await begin(open);
      const [id] = await mail.post("jack", "1");
      const first = await mail.lease("jack", MINUTE);
      mail.later(MINUTE);
      await mail.lease("jack", MINUTE);
      expect((await mail.store.giveBack("jack", first.leaseId, undefined)).stale).toEqual([id]);
      expect(await mail.state("jack", id)).toBe("LEASED");
      expect(await mail.receipt(id, "jack")).toMatchObject({ deliveryAttempt: 2 });
    });

    test("twice takes back one attempt only", async () => {
      const mail = await begin(open);
      const [id] = await mail.post("jack", "1");
      await mail.wearOut("jack", 1);
      const { leaseId } = await mail.lease("jack", MINUTE);
      await mail.store.giveBack("jack", leaseId, undefined);
      expect((await mail.store.giveBack("jack", leaseId, undefined)).stale).toEqual([id]);
      expect((await mail.look("jack")).messages).toMatchObject([{ deliveryAttempt: 1 }]);
    });

    test("outlives a restart", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      const leased = await mail.lease("jack", HOUR);
      await mail.store.giveBack("jack", leased.leaseId, undefined);
      await mail.restart();
      expect(ids(await mail.look("jack"))).toEqual(ids(leased));
    });
  });
}
