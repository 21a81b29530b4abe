/** To whom mail goes: unknown names, chains of replies, broadcasts, and the order in which a Send is judged. */
import { describe, expect, test } from "vitest";
import { begin, bodies, ids, MINUTE, NOON, type OpenStore } from "../store-under-test.ts";

export function testRecipients(open: OpenStore): void {
  describe("an unknown recipient", () => {
    test("gets its mail held until it comes, and is said to be unknown", async () => {
      const mail = await begin(open, { unknownRecipients: "hold" });
      expect((await mail.send({ body: "early" })).recipientKnown).toBe(false);
      expect(await mail.registered()).toEqual(["joe"]);
      expect(bodies(await mail.read("jack"))).toEqual(["early"]);
      expect((await mail.send()).recipientKnown).toBe(true);
    });

    test("is refused when the policy says so, with the nearest names, and nothing is stored", async () => {
      const mail = await begin(open, { unknownRecipients: "reject" });
      await mail.register("jack", "jill");
      const refusal = await mail.refusal({ to: "jak" });
      expect(refusal).toMatchObject({ reason: "UNKNOWN_AGENT", resource: { type: "agent", name: "jak" } });
      expect(refusal.advice).toContain("jack");
      expect((await mail.look("jak")).messages).toEqual([]);
    });

    test("is never the sender itself, who is registered by this very Send", async () => {
      const mail = await begin(open, { unknownRecipients: "reject" });
      expect((await mail.send({ from: "joe", to: "joe" })).recipientKnown).toBe(true);
    });

    test("is a removed agent too", async () => {
      const mail = await begin(open, { unknownRecipients: "reject" });
      await mail.register("jack");
      await mail.store.removeAgent("jack", false);
      expect((await mail.refusal({})).reason).toBe("UNKNOWN_AGENT");
    });
  });

  describe("a chain of replies", () => {
    test("counts one hop more than the message it answers", async () => {
      const mail = await begin(open);
      const first = await mail.send({ from: "joe", to: "jack" });
      const second = await mail.send({ from: "jack", to: "joe", inReplyTo: first.id });
      const third = await mail.send({ from: "joe", to: "jack", inReplyTo: second.id });
      const hops = async (agent: string, id: string) => (await mail.store.getMessage(agent, id))?.hops;
      expect(await hops("joe", first.id)).toBe(0);
      expect(await hops("joe", second.id)).toBe(1);
      expect(await hops("jack", third.id)).toBe(2);
    });

    test("goes on from one's own message, from one that was read, and from a broadcast", async () => {
      const mail = await begin(open);
      await mail.register("jack");
      const first = await mail.send({ to: "ALL" });
      await mail.read("jack");
      const answer = await mail.send({ from: "jack", to: "joe", inReplyTo: first.id });
      const addition = await mail.send({ from: "jack", to: "joe", inReplyTo: answer.id });
      expect((await mail.look("joe")).messages.map(({ hops }) => hops)).toEqual([1, 2]);
      expect(addition.deduplicated).toBe(false);
    });

    test("is refused beyond the limit, not at it, and stores nothing", async () => {
      const mail = await begin(open, { maxHops: 2 });
      const chain = [await mail.send({ to: "joe" })];
      chain.push(await mail.send({ to: "joe", inReplyTo: chain[0]?.id }));
      chain.push(await mail.send({ to: "joe", inReplyTo: chain[1]?.id }));
      const refusal = await mail.refusal({ to: "joe", inReplyTo: chain[2]?.id });
      expect(refusal.reason).toBe("TOO_MANY_HOPS");
      expect(refusal.advice).toMatch(/\b3\b.*\b2\b/);
      expect(ids(await mail.look("joe"))).toEqual(chain.map(({ id }) => id));
    });

    test("begins anew, at one, from a message that is unknown or foreign, which is never refused", async () => {
      const mail = await begin(open, { maxHops: 1 });
      const theirs = await mail.send({ from: "ann", to: "bob" });
      const deep = await mail.send({ from: "bob", to: "ann", inReplyTo: theirs.id });
      await mail.send({ inReplyTo: "unknown" });
      await mail.send({ inReplyTo: deep.id });
      expect((await mail.look("jack")).messages).toMatchObject([
        { inReplyTo: "unknown", hops: 1 },
        { inReplyTo: deep.id, hops: 1 },
      ]);
    });
  });

  describe("a broadcast", () => {
    test("reaches every registered agent but its sender, with one id and addressed to ALL", async () => {
      const mail = await begin(open);
      await mail.register("ann", "bob", "joe");
      const { id, recipientCount, recipientKnown } = await mail.send({ to: "ALL", body: "all hands" });
      expect({ recipientCount, recipientKnown }).toEqual({ recipientCount: 2, recipientKnown: true });
      for (const agent of ["ann", "bob"]) {
        expect((await mail.look(agent)).messages).toMatchObject([
          { id, recipient: "ALL", sender: "joe", body: "all hands", timestamp: NOON },
        ]);
      }
      expect((await mail.look("joe")).messages).toEqual([]);
    });

    test("reaches its sender too when that is asked for", async () => {
      const mail = await begin(open);
      await mail.register("ann", "joe");
      const { recipientCount } = await mail.send({ to: "ALL", includeSender: true, body: "us" });
      expect(recipientCount).toBe(2);
      expect(bodies(await mail.look("joe"))).toEqual(["us"]);
    });

    test("passes by names that nobody registered, that were removed, and that come later", async () => {
      const mail = await begin(open);
      await mail.register("ann", "gone");
      await mail.store.removeAgent("gone", false);
      await mail.send({ to: "waiting", body: "direct" });
      expect((await mail.send({ to: "ALL", body: "all" })).recipientCount).toBe(1);
      expect(bodies(await mail.look("waiting"))).toEqual(["direct"]);
      expect(bodies(await mail.look("gone"))).toEqual([]);
      expect(bodies(await mail.look("later"))).toEqual([]);
      expect(bodies(await mail.look("ann"))).toEqual(["all"]);
    });

    test("that reaches nobody is stored all the same, and registers its sender", async () => {
      const mail = await begin(open);
      const { id, recipientCount } = await mail.send({ to: "ALL", body: "anyone?" });
      expect(recipientCount).toBe(0);
      expect(await mail.registered()).toEqual(["joe"]);
      expect(await mail.store.getMessage("joe", id)).toMatchObject({ recipient: "ALL", body: "anyone?" });
      expect(await mail.store.getReceipt(id, 10, undefined)).toEqual({
        recipientCount: 0,
        readCount: 0,
        deadCount: 0,
        items: [],
        next: undefined,
      });
    });

    test("has its place among the other mail of each inbox", async () => {
      const mail = await begin(open);
      await mail.post("ann", "1");
      await mail.register("ann");
      await mail.send({ to: "ALL", body: "2" });
      await mail.post("ann", "3");
      expect(bodies(await mail.look("ann"))).toEqual(["1", "2", "3"]);
    });

    test("lives a life of its own in each inbox", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      await mail.register("ann", "bob", "cid", "dan");
      const { id } = await mail.send({ to: "ALL", ttlMs: 10 * MINUTE });
      await mail.lease("bob", MINUTE);
      await mail.read("ann");
      await mail.lease("cid", 20 * MINUTE);
      mail.later(MINUTE);
      const states = () => Promise.all(["ann", "bob", "cid", "dan"].map((agent) => mail.state(agent, id)));
      expect(await states()).toEqual(["READ", "DEAD", "LEASED", "UNREAD"]);
      mail.later(9 * MINUTE);
      expect(await states()).toEqual(["READ", "DEAD", "LEASED", "DEAD"]);
    });

    test("to very many goes to all of them at once", async () => {
      const mail = await begin(open);
      const agents = Array.from({ length: 1500 }, (_, i) => `agent-${i}`);
      await Promise.all(agents.map((agent) => mail.store.registerAgent(agent, undefined)));
      expect((await mail.send({ to: "ALL" })).recipientCount).toBe(1500);
      expect((await mail.look("agent-1499")).messages).toHaveLength(1);
    });
  });

  describe("a Send that is wrong in several ways", () => {
    test("is refused for its key first, then its recipient, its hops, and the rate last", async () => {
      const mail = await begin(open, {
        rateLimit: { count: 2, windowMs: MINUTE },
        maxHops: 1,
        unknownRecipients: "reject",
      });
      await mail.register("jack");
      const first = await mail.send({ requestId: "k" });
      const reply = await mail.send({ inReplyTo: first.id });
      const wrong = { to: "nobody", inReplyTo: reply.id, requestId: "k" };
      expect((await mail.refusal(wrong)).reason).toBe("REQUEST_ID_REUSED");
      expect((await mail.refusal({ ...wrong, requestId: "l" })).reason).toBe("UNKNOWN_AGENT");
      await mail.register("nobody");
      expect((await mail.refusal({ ...wrong, requestId: "l" })).reason).toBe("TOO_MANY_HOPS");
      expect((await mail.refusal({ to: "nobody", requestId: "l" })).reason).toBe("RATE_LIMITED");
    });
  });
}
