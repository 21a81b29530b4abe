/** Pulls under a lease: what it hides, how it ends, and what a repeat of the pull gives. */
import { describe, expect, test } from "vitest";
import { begin, bodies, HOUR, ids, leasedOf, MINUTE, NOON, type OpenStore, refusing } from "../store-under-test.ts";

export function testLeases(open: OpenStore): void {
  describe("a lease", () => {
    test("is named as the pull asked and lasts as long as it asked, from now", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      mail.later(7);
      const leased = await mail.lease("jack", MINUTE, { leaseId: "lease-1" });
      expect(leased.lease).toEqual({ id: "lease-1", expireAt: NOON + 7 + MINUTE });
      expect(leased.messages).toMatchObject([{ body: "1", deliveryAttempt: 1 }]);
      expect(await mail.receipt(ids(leased)[0], "jack")).toMatchObject({
        state: "LEASED",
        deliveryAttempt: 1,
        firstPulledAt: NOON + 7,
        readAt: undefined,
      });
    });

    test("hides what it holds from every kind of pull, and from nothing else", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2");
      await mail.lease("jack", MINUTE, { maxMessages: 1 });
      expect(bodies(await mail.look("jack"))).toEqual(["2"]);
      expect(bodies(await mail.lease("jack", MINUTE))).toEqual(["2"]);
      expect(bodies(await mail.look("jack"))).toEqual([]);
      expect(bodies(await mail.read("jack"))).toEqual([]);
      expect(bodies(await mail.hold("jack", MINUTE))).toEqual([]);
    });

    test("that ran out gives the mail back with the same id, a higher attempt, at its old place", async () => {
      const mail = await begin(open);
      const first = await mail.post("jack", "1", "2");
      await mail.lease("jack", MINUTE);
      const later = await mail.post("jack", "3");
      mail.later(MINUTE - 1);
      expect(bodies(await mail.look("jack"))).toEqual(["3"]);
      mail.later(1);
      expect(ids(await mail.look("jack"))).toEqual([...first, ...later]);
      expect((await mail.lease("jack", MINUTE)).messages.map(({ deliveryAttempt }) => deliveryAttempt)).toEqual([
        2, 2, 1,
      ]);
    });

    test("that ran out leaves the first pull's time in the receipt", async () => {
      const mail = await begin(open);
      const [id] = await mail.post("jack", "1");
      await mail.wearOut("jack", 2);
      expect(await mail.receipt(id, "jack")).toMatchObject({
        state: "UNREAD",
        firstPulledAt: NOON,
        deliveryAttempt: 2,
      });
    });

    test("of one worker holds nothing that another worker's holds, also when they pull at once", async () => {
      const mail = await begin(open);
      await mail.batch(...Array.from({ length: 40 }, () => ({})));
      const pulls = await Promise.all(Array.from({ length: 10 }, () => mail.lease("jack", MINUTE, { maxMessages: 4 })));
      expect(new Set(pulls.flatMap(ids)).size).toBe(40);
    });

    test("outlives a restart", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      const leased = await mail.lease("jack", MINUTE, { requestId: "k" });
      await mail.restart();
      expect(bodies(await mail.look("jack"))).toEqual([]);
      const repeat = leasedOf(await mail.lease("jack", MINUTE, { requestId: "k" }));
      expect(repeat).toEqual(leased);
      mail.later(MINUTE);
      expect((await mail.lease("jack", MINUTE)).messages).toMatchObject([{ deliveryAttempt: 2 }]);
    });

    test("is of one inbox only: the copy of a broadcast in another stays free", async () => {
      const mail = await begin(open);
      await mail.register("ann", "bob");
      await mail.send({ to: "ALL" });
      await mail.lease("ann", MINUTE);
      expect((await mail.lease("bob", MINUTE)).messages).toMatchObject([{ deliveryAttempt: 1 }]);
    });
  });

  describe("a leased pull that is repeated with its request_id", () => {
    test("gives what the lease holds, with its current end, and costs no attempt", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2");
      const first = await mail.lease("jack", MINUTE, { requestId: "k" });
      mail.later(10);
      expect(await mail.lease("jack", MINUTE, { requestId: "k" })).toEqual(first);
      const { expireAt } = await mail.store.extendLease("jack", first.leaseId, HOUR);
      expect(expireAt).toBe(NOON + 10 + HOUR);
      mail.later(MINUTE);
      const repeat = await mail.lease("jack", MINUTE, { requestId: "k" });
      expect(repeat.messages).toEqual(first.messages);
      expect(repeat.lease).toEqual({ id: first.leaseId, expireAt });
    });

    test("ignores other parameters", async () => {
      const mail = await begin(open);
      await mail.post("jack", "abc", "def", "ghi");
      const first = await mail.lease("jack", MINUTE, { requestId: "k", maxMessages: 2, maxBodyBytes: 2 });
      const other = { requestId: "k", maxMessages: 1, maxBytes: 1, maxBodyBytes: undefined };
      expect(await mail.lease("jack", HOUR, other)).toEqual(first);
    });

    test("leaves out what was acked or given back since", async () => {
      const mail = await begin(open);
      const [one = "", two = "", three] = await mail.post("jack", "1", "2", "3");
      const first = await mail.lease("jack", MINUTE, { requestId: "k" });
      await mail.store.ack("jack", [one], first.leaseId);
      await mail.store.giveBack("jack", first.leaseId, [two]);
      const repeat = await mail.lease("jack", MINUTE, { requestId: "k" });
      expect([ids(repeat), repeat.leaseId, repeat.hasMore]).toEqual([[three], first.leaseId, true]);
    });

    test("says that there is more when mail came since, and gives none of it", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      await mail.lease("jack", MINUTE, { requestId: "k" });
      await mail.post("jack", "2");
      const repeat = await mail.lease("jack", MINUTE, { requestId: "k" });
      expect([bodies(repeat), repeat.hasMore]).toEqual([["1"], true]);
    });

    test("is a new pull once everything was acked", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      const first = await mail.lease("jack", MINUTE, { requestId: "k" });
      await mail.store.ack("jack", ids(first), first.leaseId);
      const nothing = await mail.pull("jack", { kind: "lease", ms: MINUTE }, { requestId: "k" });
      expect([nothing.messages, nothing.lease]).toEqual([[], undefined]);
      await mail.post("jack", "2");
      const second = await mail.lease("jack", MINUTE, { requestId: "k" });
      expect(bodies(second)).toEqual(["2"]);
      expect(second.leaseId).not.toBe(first.leaseId);
      expect(await mail.lease("jack", MINUTE, { requestId: "k" })).toEqual(second);
    });

    test("is a new pull once it ran out: the same mail, one attempt more", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      const first = await mail.lease("jack", MINUTE, { requestId: "k" });
      mail.later(MINUTE);
      const second = await mail.lease("jack", MINUTE, { requestId: "k" });
      expect(second.leaseId).not.toBe(first.leaseId);
      expect(second.messages).toMatchObject([{ id: ids(first)[0], deliveryAttempt: 2 }]);
    });

    test("is a new pull once everything was given back, and costs no attempt", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      const first = await mail.lease("jack", MINUTE, { requestId: "k" });
      await mail.store.giveBack("jack", first.leaseId, undefined);
      const second = await mail.lease("jack", MINUTE, { requestId: "k" });
      expect(second.leaseId).not.toBe(first.leaseId);
      expect(second.messages).toMatchObject([{ deliveryAttempt: 1 }]);
    });

    test("is a new pull once others took everything over", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      await mail.lease("jack", MINUTE, { requestId: "k" });
      mail.later(MINUTE);
      await mail.lease("jack", HOUR);
      expect((await mail.pull("jack", { kind: "lease", ms: MINUTE }, { requestId: "k" })).messages).toEqual([]);
    });

    test("as another mode is refused while the lease runs, and changes nothing", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2");
      const first = await mail.lease("jack", MINUTE, { requestId: "k", maxMessages: 1 });
      await expect(mail.read("jack", { requestId: "k" })).rejects.toMatchObject(refusing("REQUEST_ID_REUSED"));
      await expect(mail.hold("jack", MINUTE, { requestId: "k" })).rejects.toMatchObject(refusing("REQUEST_ID_REUSED"));
      expect(bodies(await mail.look("jack"))).toEqual(["2"]);
      expect(ids(await mail.lease("jack", MINUTE, { requestId: "k" }))).toEqual(ids(first));
    });

    test("that found nothing the first time is a new pull", async () => {
      const mail = await begin(open);
      await mail.pull("jack", { kind: "lease", ms: MINUTE }, { requestId: "k" });
      await mail.pull("jack", { kind: "lease", ms: MINUTE }, { requestId: "l" });
      await mail.post("jack", "1", "2");
      expect(bodies(await mail.lease("jack", MINUTE, { requestId: "k", maxMessages: 1 }))).toEqual(["1"]);
      expect(bodies(await mail.read("jack", { requestId: "l" }))).toEqual(["2"]);
    });

    test("has request_ids of its own agent, apart from those of Sends", async () => {
      const mail = await begin(open);
      await mail.send({ from: "jack", to: "ann", body: "sent", requestId: "k" });
      await mail.post("jack", "1");
      expect(bodies(await mail.lease("jack", MINUTE, { requestId: "k" }))).toEqual(["1"]);
      expect(bodies(await mail.lease("ann", MINUTE, { requestId: "k" }))).toEqual(["sent"]);
    });

    test("gives mail whose ttl is over as long as the lease runs", async () => {
      const mail = await begin(open);
      await mail.send({ body: "1", ttlMs: MINUTE });
      const first = await mail.lease("jack", HOUR, { requestId: "k" });
      mail.later(2 * MINUTE);
      expect(ids(await mail.lease("jack", HOUR, { requestId: "k" }))).toEqual(ids(first));
    });
  });

  describe("prolonging a lease", () => {
    test("counts from now, for all that it still holds", async () => {
      const mail = await begin(open);
      const [one = ""] = await mail.post("jack", "1", "2", "3");
      const { leaseId } = await mail.lease("jack", MINUTE);
      await mail.store.ack("jack", [one], leaseId);
      mail.later(30);
      expect(await mail.store.extendLease("jack", leaseId, HOUR)).toEqual({ expireAt: NOON + 30 + HOUR, stale: [one] });
      mail.later(HOUR - 1);
      expect(bodies(await mail.look("jack"))).toEqual([]);
      mail.later(1);
      expect((await mail.look("jack")).messages).toMatchObject([
        { body: "2", deliveryAttempt: 1 },
        { body: "3", deliveryAttempt: 1 },
      ]);
    });

    test("can also shorten it: backing off is prolonging by a delay and letting it run out", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      const { leaseId } = await mail.lease("jack", HOUR);
      expect((await mail.store.extendLease("jack", leaseId, MINUTE)).expireAt).toBe(NOON + MINUTE);
      mail.later(MINUTE);
      expect((await mail.lease("jack", MINUTE)).messages).toMatchObject([{ deliveryAttempt: 2 }]);
    });

    test("lists what was acked, given back or taken over as stale", async () => {
      const mail = await begin(open);
      const [one = "", two = "", three = ""] = await mail.post("jack", "1", "2", "3");
      const { leaseId } = await mail.lease("jack", MINUTE);
      await mail.store.ack("jack", [one], undefined);
      await mail.store.giveBack("jack", leaseId, [two]);
      await mail.lease("jack", HOUR);
      const { stale } = await mail.store.extendLease("jack", leaseId, MINUTE);
      expect([...stale].sort()).toEqual([one, two].sort());
      expect(await mail.state("jack", three)).toBe("LEASED");
    });

    test("is refused when the lease holds nothing at all", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      const extend = (agent: string, leaseId: string) => mail.store.extendLease(agent, leaseId, MINUTE);
      const stale = refusing("STALE_LEASE");
      await expect(extend("jack", "no-such-lease")).rejects.toMatchObject(stale);
      await expect(extend("nobody", "no-such-lease")).rejects.toMatchObject(stale);

      const first = await mail.lease("jack", MINUTE);
      await expect(extend("joe", first.leaseId)).rejects.toMatchObject(stale);
      mail.later(MINUTE);
      await expect(extend("jack", first.leaseId)).rejects.toMatchObject(stale);

      const second = await mail.lease("jack", MINUTE);
      await expect(extend("jack", first.leaseId)).rejects.toMatchObject(stale);
      await mail.store.giveBack("jack", second.leaseId, undefined);
      await expect(extend("jack", second.leaseId)).rejects.toMatchObject(stale);

      const third = await mail.lease("jack", MINUTE);
      await mail.store.ack("jack", ids(third), undefined);
      await expect(extend("jack", third.leaseId)).rejects.toMatchObject(stale);
    });

    test("goes on for days, one step at a time", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      const { leaseId } = await mail.lease("jack", 12 * HOUR);
      for (let i = 0; i < 6; i++) {
        mail.later(11 * HOUR);
        expect(await mail.store.extendLease("jack", leaseId, 12 * HOUR)).toEqual({
          expireAt: mail.now + 12 * HOUR,
          stale: [],
        });
        // Others' leases come and go meanwhile.
        await mail.send({ to: "ann" });
        await mail.lease("ann", MINUTE);
      }
      expect((await mail.store.ack("jack", ids(await mail.look("jack")), leaseId)).ackedCount).toBe(0);
      expect((await mail.store.giveBack("jack", leaseId, undefined)).stale).toEqual([]);
      expect((await mail.lease("jack", MINUTE)).messages).toMatchObject([{ deliveryAttempt: 1 }]);
    });
  });
}
