/** The doorbell, the check, and how a store is closed and opened again. */
import { describe, expect, test } from "vitest";
import { BusError } from "#dist/errors.js";
import { begin, HOUR, ids, MINUTE, newMessage, type OpenStore } from "../store-under-test.ts";

export function testServing(open: OpenStore): void {
  describe("the doorbell", () => {
    test("rings at the recipient's inbox for each stored message, and only after the commit", async () => {
      const mail = await begin(open);
      await mail.register("jack", "ann");
      const looks: Promise<number>[] = [];
      mail.onRing = () => {
        looks.push(mail.look("jack").then(({ messages }) => messages.length));
      };
      await mail.post("jack", "1", "2");
      expect(mail.rings).toEqual(["jack", "jack"]);
      expect(await Promise.all(looks)).toEqual([1, 2]);
    });

    test("rings before or with the answer, not some time later", async () => {
      const mail = await begin(open);
      await mail.batch({ to: "a" }, { to: "b" }, { to: "a" });
      expect(new Set(mail.rings)).toEqual(new Set(["a", "b"]));
    });

    test("rings everywhere for a broadcast", async () => {
      const mail = await begin(open);
      await mail.register("jack", "ann");
      await mail.send({ to: "ALL" });
      expect(mail.rings).toEqual([undefined]);
    });

    test("does not ring for a repeat or for what was refused", async () => {
      const mail = await begin(open, { unknownRecipients: "reject" });
      await mail.register("jack");
      await mail.send({ requestId: "k" });
      mail.rings.length = 0;
      await mail.send({ requestId: "k" });
      await mail.refusal({ to: "nobody" });
      await mail.refusal({ body: "other", requestId: "k" });
      expect(mail.rings).toEqual([]);
    });

    test("rings for the others of a batch in which one was refused", async () => {
      const mail = await begin(open, { unknownRecipients: "reject" });
      await mail.register("a", "b");
      await mail.batch({ to: "a" }, { to: "nobody" }, { to: "b" });
      expect(mail.rings).toEqual(["a", "b"]);
    });

    test("rings for mail that is given back, after the commit", async () => {
      const mail = await begin(open);
      const [one = ""] = await mail.post("jack", "1", "2");
      const { leaseId } = await mail.lease("jack", MINUTE);
      mail.rings.length = 0;
      const looks: Promise<number>[] = [];
      mail.onRing = () => {
        looks.push(mail.look("jack").then(({ messages }) => messages.length));
      };
      await mail.store.giveBack("jack", leaseId, [one]);
      await mail.store.giveBack("jack", leaseId, undefined);
      expect(mail.rings).toEqual(["jack", "jack"]);
      expect(await Promise.all(looks)).toEqual([1, 2]);
    });

    test("rings for a lease that ends sooner now: whoever waits reckons with its old end", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      const { leaseId } = await mail.lease("jack", MINUTE);
      mail.rings.length = 0;
      await mail.store.extendLease("jack", leaseId, MINUTE / 2);
      expect(mail.rings).toEqual(["jack"]);
    });

    test("stays silent for what brings no mail", async () => {
      const mail = await begin(open);
      const [id = ""] = await mail.post("jack", "1", "2");
      mail.rings.length = 0;
      const { leaseId } = await mail.lease("jack", MINUTE);
      await mail.store.extendLease("jack", leaseId, HOUR);
      await mail.store.ack("jack", [id], leaseId);
      await mail.look("jack");
      await mail.register("jack", "ann");
      await mail.store.removeAgent("ann", false);
      expect(mail.rings).toEqual([]);
    });
  });

  describe("a store", () => {
    test("that is open passes its check", async () => {
      const mail = await begin(open);
      await expect(mail.store.check()).resolves.toBeUndefined();
    });

    test("has everything that was answered when it is opened again", async () => {
      const mail = await begin(open);
      await mail.register("ann");
      const { id } = await mail.send({ to: "ALL", subject: "s", body: "b", ttlMs: HOUR });
      const sent = await mail.batch(...Array.from({ length: 200 }, (_, i) => ({ body: `${i}` })));
      const before = await mail.look("jack", { maxMessages: 1000 });
      await mail.restart();
      expect(sent).toHaveLength(200);
      expect(await mail.look("jack", { maxMessages: 1000 })).toEqual(before);
      expect(ids(await mail.look("ann"))).toEqual([id]);
      await mail.restart();
      const [last] = await mail.post("jack", "last");
      expect(ids(await mail.look("jack", { maxMessages: 1000 }))).toEqual([...ids(before), last]);
    });

    test("that is closed first finishes what is under way, and loses nothing that it answered", async () => {
      const mail = await begin(open);
      const messages = Array.from({ length: 300 }, () => newMessage());
      const answers = Promise.allSettled(messages.map((message) => mail.store.send([message])));
      await mail.restart();
      const stored = (await answers).flatMap((answer) =>
        answer.status === "fulfilled" ? answer.value.filter((one) => !(one instanceof BusError)) : [],
      );
      expect(stored).toHaveLength(300);
      expect(ids(await mail.look("jack", { maxMessages: 1000 }))).toEqual(messages.map(({ id }) => id));
    });

    test("that is closed answers nothing any more, and can be closed again", async () => {
      const mail = await begin(open);
      const { store } = mail;
      await mail.register("jack");
      await store.close();
      await store.close();
      const look = { maxMessages: 1, maxBytes: 1, maxBodyBytes: undefined, leaseId: "l", requestId: undefined };
      await expect(store.send([newMessage()])).rejects.toThrow();
      await expect(store.pull({ agent: "jack", taking: { kind: "look" }, ...look })).rejects.toThrow();
      await expect(store.ack("jack", ["x"], undefined)).rejects.toThrow();
      await expect(store.registerAgent("ann", undefined)).rejects.toThrow();
      await expect(store.getMessage("jack", "x")).rejects.toThrow();
      await expect(store.getReceipt("x", 1, undefined)).rejects.toThrow();
      await expect(store.agentNames(1)).rejects.toThrow();
      await expect(store.check()).rejects.toThrow();
    });
  });
}
