/** One message in the eyes of one agent, and its receipt. */
import { describe, expect, test } from "vitest";
import { begin, HOUR, MINUTE, NOON, newMessage, type OpenStore, SECOND } from "../store-under-test.ts";

export function testMessages(open: OpenStore): void {
  describe("one message", () => {
    test("is seen whole by its recipient, with its state there", async () => {
      const mail = await begin(open);
      const message = newMessage({ subject: "s", body: "b", inReplyTo: "x", ttlMs: HOUR, traceparent: "00-a-b-01" });
      await mail.store.send([message]);
      expect(await mail.store.getMessage("jack", message.id)).toEqual({
        id: message.id,
        sender: "joe",
        recipient: "jack",
        subject: "s",
        body: "b",
        timestamp: NOON,
        inReplyTo: "x",
        hops: 1,
        expireAt: NOON + HOUR,
        bodySize: undefined,
        traceparent: "00-a-b-01",
        deliveryAttempt: 0,
        state: "UNREAD",
        deadReason: undefined,
      });
    });

    test("is seen by its sender as it was sent, without a state", async () => {
      const mail = await begin(open);
      const { id } = await mail.send({ subject: "s", body: "b", ttlMs: HOUR });
      await mail.lease("jack", MINUTE);
      const { state: _, deadReason: __, ...seen } = (await mail.store.getMessage("jack", id)) ?? {};
      expect(await mail.store.getMessage("joe", id)).toEqual({
        ...seen,
        deliveryAttempt: 0,
        state: undefined,
        deadReason: undefined,
      });
    });

    test("goes through the states of its delivery", async () => {
      const mail = await begin(open, { maxAttempts: 2 });
      const [one = "", two = ""] = await mail.post("jack", "1", "2");
      const view = (id: string) => mail.store.getMessage("jack", id);
      expect(await view(one)).toMatchObject({ state: "UNREAD", deliveryAttempt: 0 });
      const { leaseId } = await mail.lease("jack", MINUTE);
      expect(await view(one)).toMatchObject({ state: "LEASED", deliveryAttempt: 1 });
      await mail.store.ack("jack", [two], leaseId);
      expect(await view(two)).toMatchObject({ state: "READ", deliveryAttempt: 1, deadReason: undefined });
      mail.later(MINUTE);
      expect(await view(one)).toMatchObject({ state: "UNREAD", deliveryAttempt: 1 });
      await mail.wearOut("jack", 1);
      expect(await view(one)).toMatchObject({ state: "DEAD", deliveryAttempt: 2, deadReason: "ATTEMPTS_EXHAUSTED" });
    });

    test("has a state for an agent that wrote to itself", async () => {
      const mail = await begin(open);
      const { id } = await mail.send({ from: "joe", to: "joe" });
      expect(await mail.state("joe", id)).toBe("UNREAD");
      await mail.read("joe");
      expect(await mail.state("joe", id)).toBe("READ");
    });

    test("of a broadcast is each recipient's own, and the sender's only with include_sender", async () => {
      const mail = await begin(open);
      await mail.register("ann", "bob");
      const apart = await mail.send({ to: "ALL" });
      await mail.read("ann");
      const states = (id: string) => Promise.all(["ann", "bob", "joe"].map((agent) => mail.state(agent, id)));
      expect(await states(apart.id)).toEqual(["READ", "UNREAD", undefined]);
      expect(await mail.store.getMessage("joe", apart.id)).toMatchObject({ recipient: "ALL" });
      const together = await mail.send({ to: "ALL", includeSender: true });
      expect(await states(together.id)).toEqual(["UNREAD", "UNREAD", "UNREAD"]);
    });

    test("is not there for a stranger, for one that came after the broadcast, or under another id", async () => {
      const mail = await begin(open);
      await mail.register("ann");
      const [id = ""] = await mail.post("jack", "1");
      const { id: broadcast } = await mail.send({ to: "ALL" });
      await mail.register("late");
      expect(await mail.store.getMessage("ann", id)).toBeUndefined();
      expect(await mail.store.getMessage("nobody", id)).toBeUndefined();
      expect(await mail.store.getMessage("late", broadcast)).toBeUndefined();
      expect(await mail.store.getMessage("jack", id.toUpperCase())).toBeUndefined();
      expect(await mail.store.getMessage("jack", "")).toBeUndefined();
    });

    test("does not change by being looked at", async () => {
      const mail = await begin(open);
      const [id = ""] = await mail.post("jack", "1");
      const first = await mail.store.getMessage("jack", id);
      expect(await mail.store.getMessage("jack", id)).toEqual(first);
      expect(await mail.receipt(id, "jack")).toMatchObject({ state: "UNREAD", firstPulledAt: undefined });
    });
  });

  describe("a receipt", () => {
    test("says what became of a message in its one inbox", async () => {
      const mail = await begin(open);
      const [id = ""] = await mail.post("jack", "1");
      const page = (receipt: object, counts = {}) => ({
        recipientCount: 1,
        readCount: 0,
        deadCount: 0,
        next: undefined,
        ...counts,
        items: [
          {
            recipient: "jack",
            state: "UNREAD",
            deliveryAttempt: 0,
            firstPulledAt: undefined,
            readAt: undefined,
            deadAt: undefined,
            deadReason: undefined,
            replyMessageIds: [],
            lastSeenAt: undefined,
            ...receipt,
          },
        ],
      });
      const get = () => mail.store.getReceipt(id, 100, undefined);
      expect(await get()).toEqual(page({}));

      mail.later(SECOND);
      const { leaseId } = await mail.lease("jack", MINUTE);
      const pulled = { deliveryAttempt: 1, firstPulledAt: NOON + SECOND, lastSeenAt: NOON + SECOND };
      expect(await get()).toEqual(page({ state: "LEASED", ...pulled }));

      mail.later(SECOND);
      const reply = await mail.send({ from: "jack", to: "joe", inReplyTo: id });
      await mail.store.ack("jack", [id], leaseId);
      const read = { readAt: NOON + 2 * SECOND, lastSeenAt: NOON + 2 * SECOND, replyMessageIds: [reply.id] };
      expect(await get()).toEqual(page({ state: "READ", ...pulled, ...read }, { readCount: 1 }));
    });

    test("counts over all recipients whatever the page, and goes by name", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      await mail.register("e", "d", "c", "b", "a");
      const { id } = await mail.send({ to: "ALL" });
      await mail.lease("e", MINUTE);
      await mail.lease("d", MINUTE);
      mail.later(MINUTE);
      await mail.read("a");
      await mail.lease("b", MINUTE);
      const counts = { recipientCount: 5, readCount: 1, deadCount: 2 };
      const found: [string, string][] = [];
      let after: string | undefined;
      do {
        const page = await mail.store.getReceipt(id, 2, after);
        expect(page).toMatchObject(counts);
        found.push(...(page?.items ?? []).map(({ recipient, state }): [string, string] => [recipient, state]));
        after = page?.next;
      } while (after !== undefined);
      expect(found).toEqual([
        ["a", "READ"],
        ["b", "LEASED"],
        ["c", "UNREAD"],
        ["d", "DEAD"],
        ["e", "DEAD"],
      ]);
    });

    test("ends with a full last page, not with an empty one", async () => {
      const mail = await begin(open);
      await mail.register("a", "b");
      const { id } = await mail.send({ to: "ALL" });
      const page = await mail.store.getReceipt(id, 2, undefined);
      expect([page?.items.length, page?.next]).toEqual([2, undefined]);
    });

    test("names the first twenty answers of that recipient, oldest first", async () => {
      const mail = await begin(open);
      await mail.register("ann", "bob");
      const { id } = await mail.send({ to: "ALL" });
      const answers: string[] = [];
      for (let i = 0; i < 22; i++) {
        answers.push((await mail.send({ from: "ann", to: "joe", inReplyTo: id })).id);
        await mail.send({ from: "cid", to: "joe", inReplyTo: id });
      }
      const aside = await mail.send({ from: "bob", to: "ann", inReplyTo: id });
      expect((await mail.receipt(id, "ann")).replyMessageIds).toEqual(answers.slice(0, 20));
      expect((await mail.receipt(id, "bob")).replyMessageIds).toEqual([aside.id]);
    });

    test("of a message that is not there is absent", async () => {
      const mail = await begin(open);
      expect(await mail.store.getReceipt("00000000-0000-7000-8000-000000000000", 10, undefined)).toBeUndefined();
      expect(await mail.store.getReceipt("", 10, undefined)).toBeUndefined();
    });

    test("is the same after a restart", async () => {
      const mail = await begin(open);
      await mail.register("ann", "bob");
      const { id } = await mail.send({ to: "ALL" });
      await mail.read("ann");
      await mail.lease("bob", HOUR);
      await mail.send({ from: "bob", to: "joe", inReplyTo: id });
      const before = await mail.store.getReceipt(id, 10, undefined);
      await mail.restart();
      expect(await mail.store.getReceipt(id, 10, undefined)).toEqual(before);
    });
  });
}
