/** The request_id of a Send: a repeat is stored once and answered as the first time. */
import { describe, expect, test } from "vitest";
import {
  accepted,
  begin,
  bodies,
  DAY,
  HOUR,
  MINUTE,
  NOON,
  newMessage,
  type OpenStore,
  refused,
} from "../store-under-test.ts";

export function testRequestKeys(open: OpenStore): void {
  describe("the request key of a Send", () => {
    test("a repeat is stored once and answered with the id and time of the first", async () => {
      const mail = await begin(open);
      const first = await mail.send({ body: "once", requestId: "k" });
      mail.later(HOUR);
      const repeat = await mail.send({ body: "once", requestId: "k" });
      expect(repeat).toEqual({ ...first, timestamp: NOON, deduplicated: true });
      expect(bodies(await mail.look("jack"))).toEqual(["once"]);
    });

    test("a repeat within the same batch is stored once", async () => {
      const mail = await begin(open);
      const [first, repeat] = (
        await mail.batch({ body: "once", requestId: "k" }, { body: "once", requestId: "k" })
      ).map(accepted);
      expect(first?.deduplicated).toBe(false);
      expect(repeat).toMatchObject({ id: first?.id, deduplicated: true });
      expect(bodies(await mail.look("jack"))).toEqual(["once"]);
    });

    test("of many repeats under way at once exactly one is stored", async () => {
      const mail = await begin(open);
      const answers = await Promise.all(Array.from({ length: 50 }, () => mail.send({ body: "once", requestId: "k" })));
      expect(answers.filter(({ deduplicated }) => !deduplicated)).toHaveLength(1);
      expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
      expect(bodies(await mail.look("jack"))).toEqual(["once"]);
    });

    test("the same key with other content is refused and stores nothing", async () => {
      const mail = await begin(open);
      const first = await mail.send({ body: "one", requestId: "k" });
      expect((await mail.refusal({ body: "two", requestId: "k" })).reason).toBe("REQUEST_ID_REUSED");
      const [, second] = await mail.batch({ body: "three", requestId: "l" }, { body: "four", requestId: "l" });
      expect(refused(second).reason).toBe("REQUEST_ID_REUSED");
      expect(bodies(await mail.look("jack"))).toEqual(["one", "three"]);
      expect(await mail.send({ body: "one", requestId: "k" })).toMatchObject({ id: first.id, deduplicated: true });
    });

    test("neither ttl nor traceparent is content, and the first ones stay", async () => {
      const mail = await begin(open);
      const first = await mail.send({ requestId: "k", ttlMs: HOUR, traceparent: "00-a-b-01" });
      expect(await mail.send({ requestId: "k", ttlMs: MINUTE, traceparent: "00-c-d-01" })).toMatchObject({
        id: first.id,
        deduplicated: true,
      });
      expect((await mail.look("jack")).messages).toMatchObject([{ expireAt: NOON + HOUR, traceparent: "00-a-b-01" }]);
    });

    test("a key is its sender's own", async () => {
      const mail = await begin(open);
      await mail.send({ from: "joe", body: "same", requestId: "k" });
      expect((await mail.send({ from: "ann", body: "same", requestId: "k" })).deduplicated).toBe(false);
      expect(bodies(await mail.look("jack"))).toEqual(["same", "same"]);
    });

    test("keys tell upper from lower case", async () => {
      const mail = await begin(open);
      await mail.send({ body: "one", requestId: "k" });
      expect((await mail.send({ body: "two", requestId: "K" })).deduplicated).toBe(false);
    });

    test("messages without a key are never repeats of each other", async () => {
      const mail = await begin(open);
      await mail.post("jack", "same", "same");
      expect(bodies(await mail.look("jack"))).toEqual(["same", "same"]);
    });

    test("Send and broadcast share one namespace", async () => {
      const mail = await begin(open);
      await mail.register("jack");
      await mail.send({ to: "jack", requestId: "k" });
      expect((await mail.refusal({ to: "ALL", requestId: "k" })).reason).toBe("REQUEST_ID_REUSED");
      await mail.send({ to: "ALL", requestId: "l" });
      expect((await mail.refusal({ to: "jack", requestId: "l" })).reason).toBe("REQUEST_ID_REUSED");
    });

    test("a repeated broadcast reaches nobody anew and answers the first number of inboxes", async () => {
      const mail = await begin(open);
      await mail.register("ann", "bob");
      const first = await mail.send({ to: "ALL", requestId: "k" });
      await mail.register("new");
      expect(await mail.send({ to: "ALL", requestId: "k" })).toMatchObject({
        id: first.id,
        deduplicated: true,
        recipientCount: 2,
      });
      expect((await mail.look("new")).messages).toEqual([]);
      expect((await mail.look("ann")).messages).toHaveLength(1);
    });

    test("a repeat of what was read long ago is not handed out again, for at least 60 days", async () => {
      const mail = await begin(open);
      const first = await mail.send({ requestId: "k" });
      await mail.read("jack");
      mail.later(60 * DAY);
      expect(await mail.send({ requestId: "k" })).toMatchObject({ id: first.id, timestamp: NOON, deduplicated: true });
      expect((await mail.look("jack")).messages).toEqual([]);
    });

    test("whether the recipient is known speaks of the moment of the repeat", async () => {
      const mail = await begin(open);
      expect((await mail.send({ requestId: "k" })).recipientKnown).toBe(false);
      await mail.read("jack");
      expect((await mail.send({ requestId: "k" })).recipientKnown).toBe(true);
      await mail.store.removeAgent("jack", false);
      expect((await mail.send({ requestId: "k" })).recipientKnown).toBe(false);
    });

    test("whether one's own removed name is known speaks of the moment of the repeat too", async () => {
      const mail = await begin(open);
      expect((await mail.send({ from: "joe", to: "joe", requestId: "k" })).recipientKnown).toBe(true);
      await mail.read("joe");
      await mail.store.removeAgent("joe", false);
      const repeat = await mail.send({ from: "joe", to: "joe", requestId: "k" });
      expect(repeat.recipientKnown).toBe((await mail.registered()).includes("joe"));
    });

    test("a key outlives the removal of its sender and of its recipient", async () => {
      const mail = await begin(open);
      const first = await mail.send({ requestId: "k" });
      await mail.read("jack");
      await mail.store.removeAgent("jack", false);
      await mail.store.removeAgent("joe", false);
      expect(await mail.send({ requestId: "k" })).toMatchObject({ id: first.id, deduplicated: true });
      expect((await mail.refusal({ requestId: "k", body: "other" })).reason).toBe("REQUEST_ID_REUSED");
    });

    test("a key outlives a restart", async () => {
      const mail = await begin(open);
      const first = await mail.send({ requestId: "k" });
      await mail.restart();
      expect(await mail.send({ requestId: "k" })).toMatchObject({ id: first.id, deduplicated: true });
      expect((await mail.refusal({ requestId: "k", body: "other" })).reason).toBe("REQUEST_ID_REUSED");
      expect((await mail.look("jack")).messages).toHaveLength(1);
    });

    test("a refused Send consumes no key, whatever it was refused for", async () => {
      const mail = await begin(open, {
        unknownRecipients: "reject",
        maxHops: 1,
        rateLimit: { count: 2, windowMs: MINUTE },
      });
      const unknown = newMessage({ body: "to nobody", requestId: "k" });
      expect(refused((await mail.store.send([unknown]))[0]).reason).toBe("UNKNOWN_AGENT");
      await mail.register("jack");
      await mail.send({ body: "other", requestId: "k" });

      const [chain] = await mail.batch({ id: "answer", inReplyTo: "somewhere" });
      expect(accepted(chain).deduplicated).toBe(false);
      expect((await mail.refusal({ inReplyTo: "answer", requestId: "l" })).reason).toBe("TOO_MANY_HOPS");
      expect((await mail.refusal({ body: "too fast", requestId: "m" })).reason).toBe("RATE_LIMITED");
      mail.later(MINUTE);
      expect(await mail.send({ body: "other", requestId: "l" })).toMatchObject({ deduplicated: false });
      expect(await mail.send({ body: "other", requestId: "m" })).toMatchObject({ deduplicated: false });
    });

    test("a repeat is answered before recipient, hops and rate are judged", async () => {
      const policy = { rateLimit: { count: 3, windowMs: MINUTE } };
      const mail = await begin(open, policy);
      const grandparent = await mail.send();
      const parent = await mail.send({ inReplyTo: grandparent.id });
      const first = await mail.send({ inReplyTo: parent.id, requestId: "k" });
      await mail.read("jack");
      await mail.store.removeAgent("jack", false);
      await mail.restart({ ...policy, unknownRecipients: "reject", maxHops: 1 });
      expect(await mail.send({ inReplyTo: parent.id, requestId: "k" })).toMatchObject({
        id: first.id,
        deduplicated: true,
        recipientKnown: false,
      });
      expect((await mail.refusal({ body: "other", requestId: "k" })).reason).toBe("REQUEST_ID_REUSED");
    });
  });
}
