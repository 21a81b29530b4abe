/** Pulls that read what they hand out in the same transaction, the ones that wait for an Ack, and their repeats. */
import { describe, expect, test } from "vitest";
import { begin, bodies, HOUR, ids, leasedOf, MINUTE, NOON, type OpenStore, refusing } from "../store-under-test.ts";

export function testMarkRead(open: OpenStore): void {
  describe("a pull with mark_read", () => {
    test("hands each message out once and makes it READ", async () => {
      const mail = await begin(open);
      const [id] = await mail.post("jack", "1", "2");
      mail.later(5);
      const pulled = await mail.read("jack");
      expect(bodies(pulled)).toEqual(["1", "2"]);
      expect(pulled).toMatchObject({ hasMore: false, lease: undefined, dueAt: undefined });
      expect(await mail.receipt(id, "jack")).toMatchObject({
        state: "READ",
        readAt: NOON + 5,
        firstPulledAt: NOON + 5,
        deliveryAttempt: 0,
      });
      for (const again of [await mail.read("jack"), await mail.look("jack")]) expect(again.messages).toEqual([]);
    });

    test("without a request_id is never a repeat: the next one goes on where it ended", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2", "3");
      const one = async () => bodies(await mail.read("jack", { maxMessages: 1 }));
      expect([await one(), await one(), await one(), await one()]).toEqual([["1"], ["2"], ["3"], []]);
    });

    test("gives many callers at once each message exactly once", async () => {
      const mail = await begin(open);
      const sent = await mail.batch(...Array.from({ length: 60 }, () => ({})));
      const pulls = await Promise.all(Array.from({ length: 20 }, () => mail.read("jack", { maxMessages: 4 })));
      const handedOut = pulls.flatMap(ids);
      expect(handedOut).toHaveLength(60);
      expect(new Set(handedOut)).toEqual(new Set(sent.map((outcome) => "id" in outcome && outcome.id)));
    });

    test("repeated with its request_id gives the same messages for one hour", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2");
      const first = await mail.read("jack", { requestId: "k" });
      expect(await mail.read("jack", { requestId: "k" })).toEqual(first);
      mail.later(HOUR - 1);
      expect(await mail.read("jack", { requestId: "k" })).toEqual(first);
    });

    test("repeated after an hour is a new pull", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      await mail.read("jack", { requestId: "k" });
      mail.later(HOUR);
      expect(bodies(await mail.read("jack", { requestId: "k" }))).toEqual([]);
      await mail.post("jack", "2");
      expect(bodies(await mail.read("jack", { requestId: "k" }))).toEqual(["2"]);
      mail.later(HOUR - 1);
      expect(bodies(await mail.read("jack", { requestId: "k" }))).toEqual(["2"]);
    });

    test("repeated gives nothing of what came since, but says that there is more", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      const first = await mail.read("jack", { requestId: "k" });
      await mail.post("jack", "2");
      expect(await mail.read("jack", { requestId: "k" })).toEqual({ ...first, hasMore: true });
      expect(bodies(await mail.read("jack", { requestId: "l" }))).toEqual(["2"]);
      expect(await mail.read("jack", { requestId: "k" })).toEqual(first);
    });

    test("repeated ignores other parameters: the messages come as they came first", async () => {
      const mail = await begin(open);
      await mail.post("jack", "abc", "def", "ghi");
      const first = await mail.read("jack", { requestId: "k", maxMessages: 2, maxBodyBytes: 2 });
      expect(bodies(first)).toEqual(["ab", "de"]);
      const other = { requestId: "k", maxMessages: 1, maxBytes: 1, maxBodyBytes: undefined };
      expect((await mail.read("jack", other)).messages).toEqual(first.messages);
    });

    test("repeated many times at once gives everybody the same", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2", "3");
      const pulls = await Promise.all(
        Array.from({ length: 20 }, () => mail.read("jack", { requestId: "k", maxMessages: 2 })),
      );
      for (const pulled of pulls) expect(bodies(pulled)).toEqual(["1", "2"]);
      expect(bodies(await mail.look("jack"))).toEqual(["3"]);
    });

    test("repeated after a restart gives the same", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      const first = await mail.read("jack", { requestId: "k" });
      await mail.restart();
      expect(await mail.read("jack", { requestId: "k" })).toEqual(first);
    });

    test("repeated as another mode is refused and changes nothing", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      const first = await mail.read("jack", { requestId: "k" });
      await mail.post("jack", "2");
      const asLease = mail.pull("jack", { kind: "lease", ms: MINUTE }, { requestId: "k" });
      await expect(asLease).rejects.toMatchObject(refusing("REQUEST_ID_REUSED"));
      expect(bodies(await mail.look("jack"))).toEqual(["2"]);
      expect((await mail.read("jack", { requestId: "k" })).messages).toEqual(first.messages);
    });

    test("that finds nothing leaves no record, so that its request_id is free for anything", async () => {
      const mail = await begin(open);
      await mail.read("jack", { requestId: "k" });
      await mail.read("jack", { requestId: "l" });
      await mail.post("jack", "1", "2");
      expect(bodies(await mail.read("jack", { requestId: "k", maxMessages: 1 }))).toEqual(["1"]);
      expect(bodies(await mail.lease("jack", MINUTE, { requestId: "l" }))).toEqual(["2"]);
    });

    test("has request_ids of its own agent, apart from those of Sends", async () => {
      const mail = await begin(open);
      await mail.send({ from: "jack", to: "ann", body: "sent", requestId: "k" });
      await mail.post("jack", "1");
      expect(bodies(await mail.read("jack", { requestId: "k" }))).toEqual(["1"]);
      expect(bodies(await mail.read("ann", { requestId: "k" }))).toEqual(["sent"]);
      expect((await mail.send({ from: "jack", to: "ann", body: "sent", requestId: "k" })).deduplicated).toBe(true);
    });

    test("refused for an agent that was removed does not register it", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      await mail.read("jack", { requestId: "k" });
      await mail.store.removeAgent("jack", false);
      const asLease = mail.pull("jack", { kind: "lease", ms: MINUTE }, { requestId: "k" });
      await expect(asLease).rejects.toMatchObject(refusing("REQUEST_ID_REUSED"));
      expect(await mail.registered()).toEqual(["joe"]);
    });
  });

  describe("a pull that holds until its answer is written", () => {
    test("hides the mail, and Ack makes it READ", async () => {
      const mail = await begin(open);
      const [id = ""] = await mail.post("jack", "1");
      const held = leasedOf(await mail.hold("jack", MINUTE));
      expect(held.expireAt).toBe(NOON + MINUTE);
      expect(await mail.state("jack", id)).toBe("LEASED");
      expect((await mail.look("jack")).messages).toEqual([]);
      expect(await mail.store.ack("jack", [id], held.leaseId)).toEqual({ ackedCount: 1, unknown: [], stale: [] });
      mail.later(MINUTE);
      expect(await mail.state("jack", id)).toBe("READ");
      expect((await mail.read("jack")).messages).toEqual([]);
    });

    test("lets the mail come back at once, without an attempt, when it is given back", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      const held = leasedOf(await mail.hold("jack", MINUTE));
      await mail.store.giveBack("jack", held.leaseId, undefined);
      expect((await mail.look("jack")).messages).toMatchObject([{ body: "1", deliveryAttempt: 0 }]);
    });

    test("lets the mail come back when it runs out", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      await mail.hold("jack", MINUTE);
      mail.later(MINUTE - 1);
      expect((await mail.read("jack")).messages).toEqual([]);
      mail.later(1);
      expect(bodies(await mail.read("jack"))).toEqual(["1"]);
    });

    test("repeated while it runs gives the same messages and what holds them", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2");
      const first = await mail.hold("jack", MINUTE, { requestId: "k" });
      mail.later(1);
      expect(await mail.hold("jack", HOUR, { requestId: "k" })).toEqual(first);
    });

    test("repeated after its Ack gives the same messages for one hour, held by nothing", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2");
      const held = leasedOf(await mail.hold("jack", MINUTE, { requestId: "k" }));
      await mail.store.ack("jack", ids(held), held.leaseId);
      mail.later(HOUR - 1);
      const repeat = await mail.hold("jack", MINUTE, { requestId: "k" });
      expect([ids(repeat), repeat.lease]).toEqual([ids(held), undefined]);
      mail.later(1);
      expect((await mail.hold("jack", MINUTE, { requestId: "k" })).messages).toEqual([]);
    });

    test("repeated after it ran out or was given back is a new pull", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      const first = leasedOf(await mail.hold("jack", MINUTE, { requestId: "k" }));
      mail.later(MINUTE);
      const second = leasedOf(await mail.hold("jack", MINUTE, { requestId: "k" }));
      expect(second.leaseId).not.toBe(first.leaseId);
      expect(second.messages).toMatchObject([{ deliveryAttempt: 2 }]);
      await mail.store.giveBack("jack", second.leaseId, undefined);
      const third = leasedOf(await mail.hold("jack", MINUTE, { requestId: "k" }));
      expect(third.leaseId).not.toBe(second.leaseId);
      expect(third.messages).toMatchObject([{ deliveryAttempt: 2 }]);
    });

    test("and one with mark_read are repeats of each other", async () => {
      const mail = await begin(open);
      const [id] = await mail.post("jack", "1");
      const held = await mail.hold("jack", MINUTE, { requestId: "k" });
      const repeat = await mail.read("jack", { requestId: "k" });
      expect([ids(repeat), repeat.lease]).toEqual([ids(held), undefined]);
      expect(await mail.state("jack", id)).toBe("READ");
      expect(ids(await mail.hold("jack", MINUTE, { requestId: "k" }))).toEqual(ids(held));
      const asLease = mail.pull("jack", { kind: "lease", ms: MINUTE }, { requestId: "k" });
      await expect(asLease).rejects.toMatchObject(refusing("REQUEST_ID_REUSED"));
    });
  });
}
