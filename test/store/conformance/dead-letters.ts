/** When a delivery is DEAD: its attempts are used up or its ttl is over, computed at every read. */
import { describe, expect, test } from "vitest";
import { begin, bodies, HOUR, ids, MINUTE, NOON, type OpenStore } from "../store-under-test.ts";

export function testDeadLetters(open: OpenStore): void {
  describe("a delivery whose attempts are used up", () => {
    test("is DEAD from the end of its last lease on, and never handed out again", async () => {
      const mail = await begin(open, { maxAttempts: 2 });
      const [id] = await mail.post("jack", "1");
      await mail.wearOut("jack", 1);
      const last = await mail.lease("jack", MINUTE);
      mail.later(MINUTE - 1);
      expect(await mail.state("jack", id)).toBe("LEASED");
      mail.later(1);
      expect(await mail.receipt(id, "jack")).toMatchObject({
        state: "DEAD",
        deadReason: "ATTEMPTS_EXHAUSTED",
        deadAt: last.expireAt,
        deliveryAttempt: 2,
      });
      mail.later(HOUR);
      expect((await mail.receipt(id, "jack")).deadAt).toBe(last.expireAt);
      expect(await mail.read("jack")).toEqual({ messages: [], hasMore: false, lease: undefined, dueAt: undefined });
      expect((await mail.pull("jack", { kind: "lease", ms: 1 })).messages).toEqual([]);
    });

    test("can be acked in time, while the last lease runs", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      const [id = ""] = await mail.post("jack", "1");
      const { leaseId } = await mail.lease("jack", MINUTE);
      mail.later(MINUTE - 1);
      expect((await mail.store.ack("jack", [id], leaseId)).ackedCount).toBe(1);
      mail.later(HOUR);
      expect(await mail.state("jack", id)).toBe("READ");
    });

    test("lives on as long as its last lease is prolonged", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      const [id] = await mail.post("jack", "1");
      const { leaseId } = await mail.lease("jack", MINUTE);
      mail.later(30);
      const { expireAt } = await mail.store.extendLease("jack", leaseId, HOUR);
      mail.later(HOUR - 1);
      expect(await mail.state("jack", id)).toBe("LEASED");
      mail.later(1);
      expect((await mail.receipt(id, "jack")).deadAt).toBe(expireAt);
    });

    test("has ten of them by default", async () => {
      const mail = await begin(open, { maxAttempts: 10 });
      const [id] = await mail.post("jack", "1");
      await mail.wearOut("jack", 9);
      expect((await mail.lease("jack", MINUTE)).messages).toMatchObject([{ deliveryAttempt: 10 }]);
      mail.later(MINUTE);
      expect(await mail.state("jack", id)).toBe("DEAD");
    });

    test("does not come back by a repeat of its last pull", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      await mail.post("jack", "1");
      await mail.lease("jack", MINUTE, { requestId: "k" });
      mail.later(MINUTE);
      await mail.post("jack", "2");
      expect(bodies(await mail.lease("jack", MINUTE, { requestId: "k" }))).toEqual(["2"]);
    });

    test("cannot be given back or prolonged any more", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      const [id] = await mail.post("jack", "1");
      const { leaseId } = await mail.lease("jack", MINUTE);
      mail.later(MINUTE);
      expect((await mail.store.giveBack("jack", leaseId, undefined)).stale).toEqual([id]);
      await expect(mail.store.extendLease("jack", leaseId, MINUTE)).rejects.toThrow("STALE_LEASE");
      expect(await mail.state("jack", id)).toBe("DEAD");
    });

    test("does not stand in the way of what lies behind it", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      await mail.post("jack", "1", "2");
      await mail.lease("jack", MINUTE, { maxMessages: 1 });
      await mail.post("jack", "3");
      mail.later(MINUTE);
      const pulled = await mail.look("jack", { maxMessages: 2 });
      expect([bodies(pulled), pulled.hasMore]).toEqual([["2", "3"], false]);
    });

    test("is still DEAD after a restart", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      const [id] = await mail.post("jack", "1");
      await mail.wearOut("jack", 1);
      const before = await mail.receipt(id, "jack");
      await mail.restart();
      expect(await mail.receipt(id, "jack")).toEqual(before);
      expect((await mail.look("jack")).messages).toEqual([]);
    });
  });

  describe("a delivery with a ttl", () => {
    test("is DEAD when it is still unread so long after the Send", async () => {
      const mail = await begin(open);
      mail.later(7);
      const { id } = await mail.send({ ttlMs: MINUTE });
      mail.later(MINUTE - 1);
      expect((await mail.look("jack")).messages).toMatchObject([{ id, expireAt: NOON + 7 + MINUTE }]);
      mail.later(1);
      expect((await mail.look("jack")).messages).toEqual([]);
      expect((await mail.read("jack")).messages).toEqual([]);
      expect(await mail.receipt(id, "jack")).toMatchObject({
        state: "DEAD",
        deadReason: "EXPIRED",
        deadAt: NOON + 7 + MINUTE,
        readAt: undefined,
      });
    });

    test("stays READ when it was read in time", async () => {
      const mail = await begin(open);
      const { id } = await mail.send({ ttlMs: MINUTE });
      await mail.read("jack");
      mail.later(HOUR);
      expect(await mail.receipt(id, "jack")).toMatchObject({ state: "READ", deadAt: undefined, deadReason: undefined });
    });

    test("is not ended while a lease runs: it can be acked", async () => {
      const mail = await begin(open);
      const { id } = await mail.send({ ttlMs: MINUTE });
      const { leaseId } = await mail.lease("jack", HOUR);
      mail.later(30 * MINUTE);
      expect(await mail.state("jack", id)).toBe("LEASED");
      expect((await mail.store.extendLease("jack", leaseId, HOUR)).stale).toEqual([]);
      mail.later(30 * MINUTE);
      expect((await mail.store.ack("jack", [id], leaseId)).ackedCount).toBe(1);
      expect(await mail.state("jack", id)).toBe("READ");
    });

    test("is judged again when its lease runs out: DEAD from then on", async () => {
      const mail = await begin(open);
      const { id } = await mail.send({ ttlMs: MINUTE });
      const { expireAt } = await mail.lease("jack", HOUR);
      mail.later(HOUR);
      expect(await mail.receipt(id, "jack")).toMatchObject({ state: "DEAD", deadReason: "EXPIRED", deadAt: expireAt });
      expect((await mail.look("jack")).messages).toEqual([]);
    });

    test("is judged again when its lease is given back: DEAD from then on", async () => {
      const mail = await begin(open);
      const { id } = await mail.send({ ttlMs: MINUTE });
      const { leaseId } = await mail.lease("jack", HOUR);
      mail.later(2 * MINUTE);
      expect(await mail.store.giveBack("jack", leaseId, undefined)).toEqual({ expireAt: undefined, stale: [] });
      const died = mail.now;
      mail.later(HOUR);
      expect(await mail.receipt(id, "jack")).toMatchObject({ state: "DEAD", deadReason: "EXPIRED", deadAt: died });
    });

    test("lives on when its lease ends before the ttl", async () => {
      const mail = await begin(open);
      const { id } = await mail.send({ ttlMs: 2 * MINUTE });
      await mail.wearOut("jack", 1);
      expect(ids(await mail.look("jack"))).toEqual([id]);
      mail.later(MINUTE);
      expect(await mail.receipt(id, "jack")).toMatchObject({ state: "DEAD", deadAt: NOON + 2 * MINUTE });
    });

    test("that died by its attempts first keeps that reason and time", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      const { id } = await mail.send({ ttlMs: HOUR });
      await mail.wearOut("jack", 1);
      mail.later(2 * HOUR);
      expect(await mail.receipt(id, "jack")).toMatchObject({
        deadReason: "ATTEMPTS_EXHAUSTED",
        deadAt: NOON + MINUTE,
      });
    });

    test("is still DEAD after a restart", async () => {
      const mail = await begin(open);
      const { id } = await mail.send({ ttlMs: MINUTE });
      await mail.restart();
      mail.later(MINUTE);
      expect(await mail.state("jack", id)).toBe("DEAD");
      await mail.restart();
      expect(await mail.state("jack", id)).toBe("DEAD");
    });
  });
}
