/** What a Send stores, in which order it comes out, and what a batch is. */
import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  accepted,
  begin,
  bodies,
  ids,
  MINUTE,
  NOON,
  newMessage,
  type OpenStore,
  refused,
} from "../store-under-test.ts";

export function testSending(open: OpenStore): void {
  describe("sending", () => {
    test("a Send is answered with the id it came with, the time of the store's clock and one inbox", async () => {
      const mail = await begin(open);
      const message = newMessage();
      expect(await mail.store.send([message])).toEqual([
        {
          id: message.id,
          timestamp: NOON,
          deduplicated: false,
          recipientKnown: false,
          recipientCount: 1,
          fullInboxes: [],
        },
      ]);
    });

    test("a message arrives with every field as it was sent", async () => {
      const mail = await begin(open);
      const message = newMessage({
        subject: "Tâche \u{1f980}",
        body: "\ufeffline 1\r\nline 2\t'quoted' \"twice\" e\u0301 \u{10ffff} %_\\",
        inReplyTo: "not-an-id-of-the-bus",
        ttlMs: 5 * MINUTE,
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      });
      await mail.store.send([message]);
      expect((await mail.look("jack")).messages).toEqual([
        {
          id: message.id,
          sender: "joe",
          recipient: "jack",
          subject: message.subject,
          body: message.body,
          timestamp: NOON,
          inReplyTo: "not-an-id-of-the-bus",
          hops: 1,
          expireAt: NOON + 5 * MINUTE,
          bodySize: undefined,
          traceparent: message.traceparent,
          deliveryAttempt: 0,
        },
      ]);
    });

    test("a message without anything in it arrives with nothing in it", async () => {
      const mail = await begin(open);
      await mail.send();
      expect((await mail.look("jack")).messages).toMatchObject([
        {
          subject: "",
          body: "",
          hops: 0,
          inReplyTo: undefined,
          expireAt: undefined,
          bodySize: undefined,
          traceparent: undefined,
        },
      ]);
    });

    test("a body of two MiB comes back unchanged", async () => {
      const mail = await begin(open);
      const body = "é".repeat(1024 * 1024);
      await mail.send({ body });
      const [message] = (await mail.look("jack", { maxBytes: 3 * 1024 * 1024 })).messages;
      expect(message?.body === body).toBe(true);
    });

    test("names that every JavaScript object has are agents like all others", async () => {
      const mail = await begin(open);
      for (const name of ["constructor", "tostring", "valueof", "hasownproperty"]) {
        await mail.send({ from: name, to: name, body: name, requestId: "constructor" });
        expect(bodies(await mail.read(name, { requestId: "constructor" }))).toEqual([name]);
      }
    });

    test("mail lies in the inbox of its recipient and in no other", async () => {
      const mail = await begin(open);
      await mail.post("jack", "for jack");
      await mail.post("jack2", "for jack2");
      expect(bodies(await mail.look("jack"))).toEqual(["for jack"]);
      expect(bodies(await mail.look("jack2"))).toEqual(["for jack2"]);
      expect(bodies(await mail.look("joe"))).toEqual([]);
    });

    test("an agent can write to itself", async () => {
      const mail = await begin(open);
      await mail.send({ from: "joe", to: "joe", body: "remember" });
      expect(bodies(await mail.read("joe"))).toEqual(["remember"]);
    });

    test("an inbox hands out its mail in the order in which the Sends were stored, whatever their ids", async () => {
      const mail = await begin(open);
      const falling = Array.from({ length: 20 }, () => randomUUID())
        .sort()
        .reverse();
      for (const id of falling) await mail.send({ id });
      expect(ids(await mail.look("jack"))).toEqual(falling);
    });

    test("mail that is stored later comes behind all that was seen before, also when many send at once", async () => {
      const mail = await begin(open);
      const post = () =>
        Promise.all(Array.from({ length: 40 }, (_, i) => mail.send({ from: `sender-${i % 4}`, body: `${i}` })));
      await post();
      const first = ids(await mail.look("jack", { maxMessages: 1000 }));
      await post();
      const both = ids(await mail.look("jack", { maxMessages: 1000 }));
      expect(first).toHaveLength(40);
      expect(both).toHaveLength(80);
      expect(both.slice(0, 40)).toEqual(first);
    });

    test("Sends that one caller has under way at once are stored in the order in which they were made", async () => {
      const mail = await begin(open);
      const messages = Array.from({ length: 100 }, () => newMessage());
      await Promise.all(messages.map((message) => mail.store.send([message])));
      expect(ids(await mail.look("jack", { maxMessages: 1000 }))).toEqual(messages.map(({ id }) => id));
    });

    test("mail sent while the clock stands still or was set back still comes in its order", async () => {
      const mail = await begin(open);
      const [first] = await mail.post("jack", "1");
      mail.later(-MINUTE);
      const [second] = await mail.post("jack", "2");
      expect(ids(await mail.look("jack"))).toEqual([first, second]);
    });
  });

  describe("sending a batch", () => {
    test("the items come out in the order of the batch, all with one time", async () => {
      const mail = await begin(open);
      const messages = Array.from({ length: 1000 }, () => newMessage());
      const outcomes = (await mail.store.send(messages)).map(accepted);
      expect(outcomes.map(({ id }) => id)).toEqual(messages.map(({ id }) => id));
      expect(new Set(outcomes.map(({ timestamp }) => timestamp))).toEqual(new Set([NOON]));
      expect(ids(await mail.look("jack", { maxMessages: 1000 }))).toEqual(messages.map(({ id }) => id));
    });

    test("a bad item fails only itself, and the outcomes stand in the order of the items", async () => {
      const mail = await begin(open, { unknownRecipients: "reject" });
      await mail.register("jack");
      const outcomes = await mail.batch({ body: "1" }, { to: "nobody", body: "2" }, { body: "3" });
      expect(accepted(outcomes[0]).recipientCount).toBe(1);
      expect(refused(outcomes[1]).reason).toBe("UNKNOWN_AGENT");
      expect(accepted(outcomes[2]).recipientCount).toBe(1);
      expect(bodies(await mail.look("jack"))).toEqual(["1", "3"]);
    });

    test("a refused item leaves no message, no agent, no key and no used quota", async () => {
      const mail = await begin(open, { unknownRecipients: "reject", rateLimit: { count: 1, windowMs: MINUTE } });
      await mail.register("jack");
      const message = newMessage({ from: "new", to: "nobody", requestId: "k" });
      const [outcome] = await mail.store.send([message]);
      expect(refused(outcome).reason).toBe("UNKNOWN_AGENT");
      expect(await mail.store.getMessage("new", message.id)).toBeUndefined();
      expect(await mail.store.getReceipt(message.id, 10, undefined)).toBeUndefined();
      expect(await mail.registered()).toEqual(["jack"]);
      const everyone = { text: "", includeUnregistered: true, limit: 10, after: undefined };
      expect((await mail.store.listAgents(everyone)).items.map(({ name }) => name)).toEqual(["jack"]);
      expect(await mail.send({ from: "new", to: "jack", body: "other", requestId: "k" })).toMatchObject({
        deduplicated: false,
      });
    });

    test("each item is judged as if those before it had been sent alone", async () => {
      const mail = await begin(open, { unknownRecipients: "reject", maxHops: 1 });
      const first = newMessage({ from: "ann", to: "ann" });
      const outcomes = await mail.store.send([
        newMessage({ from: "bob", to: "ann" }),
        first,
        newMessage({ from: "bob", to: "ann" }),
        newMessage({ from: "ann", to: "ann", inReplyTo: first.id, id: "reply" }),
        newMessage({ from: "ann", to: "ann", inReplyTo: "reply" }),
      ]);
      expect(refused(outcomes[0]).reason).toBe("UNKNOWN_AGENT");
      expect(accepted(outcomes[1]).recipientKnown).toBe(true);
      expect(accepted(outcomes[2]).recipientKnown).toBe(true);
      expect(accepted(outcomes[3]).deduplicated).toBe(false);
      expect(refused(outcomes[4]).reason).toBe("TOO_MANY_HOPS");
    });

    test("a batch that comes again with the ids of its first try counts as done", async () => {
      const mail = await begin(open, { rateLimit: { count: 3, windowMs: MINUTE } });
      await mail.register("ann");
      const batch = [newMessage(), newMessage({ requestId: "k" }), newMessage({ to: "ALL" })];
      const first = (await mail.store.send(batch)).map(accepted);
      mail.later(5);
      const second = (await mail.store.send(batch)).map(accepted);
      const answer = ({ id, timestamp, recipientCount }: (typeof first)[number]) => ({ id, timestamp, recipientCount });
      expect(second.map(answer)).toEqual(first.map(answer));
      expect((await mail.look("jack")).messages).toHaveLength(2);
      expect((await mail.look("ann")).messages).toHaveLength(1);
    });
  });
}
