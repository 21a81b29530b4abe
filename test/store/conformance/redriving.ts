/** Redriving dead letters: unread again, at the end, without expiry and with as many attempts as a new one. */
import { describe, expect, test } from "vitest";
import { begin, bodies, DAY, MINUTE, type OpenStore } from "../store-under-test.ts";

export function testRedriving(open: OpenStore): void {
  describe("redriving", () => {
    test.for(["before", "after"])("makes all that is DEAD unread again, %s it was swept", async (when) => {
      const mail = await begin(open, { maxAttempts: 1 });
      const [tried] = await mail.post("jack", "tried");
      await mail.lease("jack", MINUTE);
      const { id: expired } = await mail.send({ body: "expired", ttlMs: MINUTE });
      mail.later(MINUTE);
      if (when === "after") await mail.untilDone("sweep");
      mail.rings.length = 0;
      expect(await mail.store.redrive("jack", undefined)).toEqual({ redrivenCount: 2, unknown: [] });
      expect(mail.rings).toEqual(["jack"]);
      expect(bodies(await mail.look("jack"))).toEqual(["tried", "expired"]);
      for (const id of [tried, expired]) {
        expect(await mail.receipt(id, "jack")).toMatchObject({
          state: "UNREAD",
          deadAt: undefined,
          deadReason: undefined,
          readAt: undefined,
        });
      }
      expect(await mail.store.redrive("jack", undefined)).toEqual({ redrivenCount: 0, unknown: [] });
    });

    test("gives a new place at the end of the inbox", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      await mail.post("jack", "1");
      await mail.wearOut("jack", 1);
      await mail.post("jack", "2");
      await mail.store.redrive("jack", undefined);
      await mail.post("jack", "3");
      expect(bodies(await mail.look("jack"))).toEqual(["2", "1", "3"]);
    });

    test("clears the expiry for good", async () => {
      const mail = await begin(open);
      const { id } = await mail.send({ ttlMs: MINUTE });
      mail.later(MINUTE);
      await mail.store.redrive("jack", undefined);
      mail.later(DAY);
      await mail.untilDone("sweep");
      expect((await mail.look("jack")).messages).toMatchObject([{ id, expireAt: undefined }]);
    });

    test("allows as many further attempts as a new message has, while their number keeps rising", async () => {
      const mail = await begin(open, { maxAttempts: 2 });
      const [id] = await mail.post("jack", "1");
      await mail.wearOut("jack", 2);
      await mail.store.redrive("jack", undefined);
      expect((await mail.look("jack")).messages).toMatchObject([{ deliveryAttempt: 2 }]);
      const attempts: (number | undefined)[] = [];
      for (let i = 0; i < 2; i++) {
        attempts.push((await mail.lease("jack", MINUTE)).messages[0]?.deliveryAttempt);
        mail.later(MINUTE);
      }
      expect(attempts).toEqual([3, 4]);
      expect(await mail.receipt(id, "jack")).toMatchObject({ state: "DEAD", deliveryAttempt: 4, deadAt: mail.now });
      await mail.store.redrive("jack", undefined);
      expect((await mail.lease("jack", MINUTE)).messages).toMatchObject([{ deliveryAttempt: 5 }]);
    });

    test("of named letters leaves the others, and lists what is not DEAD in this inbox", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      const [one = "", two = ""] = await mail.post("jack", "1", "2");
      const [theirs = ""] = await mail.post("ann", "3");
      await mail.wearOut("jack", 1);
      const [unread = ""] = await mail.post("jack", "4");
      const asked = [one, one, unread, theirs, "no id"];
      expect(await mail.store.redrive("jack", asked)).toEqual({ redrivenCount: 1, unknown: [unread, theirs, "no id"] });
      expect([await mail.state("jack", one), await mail.state("jack", two)]).toEqual(["UNREAD", "DEAD"]);
      expect(await mail.state("ann", theirs)).toBe("UNREAD");
    });

    test("of an agent that is not there finds nothing and registers nobody", async () => {
      const mail = await begin(open);
      expect(await mail.store.redrive("nobody", undefined)).toEqual({ redrivenCount: 0, unknown: [] });
      expect(await mail.store.redrive("nobody", ["x"])).toEqual({ redrivenCount: 0, unknown: ["x"] });
      expect(await mail.registered()).toEqual([]);
    });

    test("concerns one copy of a broadcast only", async () => {
      const mail = await begin(open);
      await mail.register("ann", "bob");
      const { id } = await mail.send({ to: "ALL", ttlMs: MINUTE });
      mail.later(MINUTE);
      await mail.store.redrive("ann", [id]);
      expect([await mail.state("ann", id), await mail.state("bob", id)]).toEqual(["UNREAD", "DEAD"]);
    });

    test("makes mail that can be leased, given back and acked like any other", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      const [id = ""] = await mail.post("jack", "1");
      await mail.wearOut("jack", 1);
      await mail.store.redrive("jack", [id]);
      await mail.restart();
      const first = await mail.lease("jack", MINUTE);
      await mail.store.giveBack("jack", first.leaseId, undefined);
      const second = await mail.lease("jack", MINUTE);
      expect(second.messages).toMatchObject([{ deliveryAttempt: 2 }]);
      expect((await mail.store.ack("jack", [id], first.leaseId)).stale).toEqual([id]);
      expect((await mail.store.ack("jack", [id], second.leaseId)).ackedCount).toBe(1);
    });
  });
}
