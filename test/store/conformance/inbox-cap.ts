/** How much unread mail one inbox takes. */
import { describe, expect, test } from "vitest";
import { accepted, begin, bodies, MINUTE, type OpenStore, refused } from "../store-under-test.ts";

export function testInboxCap(open: OpenStore): void {
  describe("a full inbox", () => {
    test("refuses further mail, stores nothing of it, and takes mail again once some was read", async () => {
      const mail = await begin(open, { maxInbox: 3 });
      await mail.post("jack", "1", "2", "3");
      const refusal = await mail.refusal({ body: "4", requestId: "k" });
      expect(refusal.reason).toBe("INBOX_FULL");
      expect(refusal.retryAfterMs).toBeUndefined();
      expect(refusal.advice).toMatch(/jack.*3/);
      expect(bodies(await mail.look("jack"))).toEqual(["1", "2", "3"]);
      await mail.read("jack", { maxMessages: 1 });
      expect((await mail.send({ body: "other", requestId: "k" })).deduplicated).toBe(false);
      expect((await mail.refusal({})).reason).toBe("INBOX_FULL");
    });

    test("counts what is leased, and neither what was read nor what is dead", async () => {
      const mail = await begin(open, { maxInbox: 3, maxAttempts: 1 });
      await mail.post("jack", "leased", "dead", "read");
      await mail.lease("jack", 10 * MINUTE, { maxMessages: 1 });
      await mail.lease("jack", MINUTE, { maxMessages: 1 });
      await mail.read("jack");
      await mail.post("jack", "new");
      expect((await mail.refusal({})).reason).toBe("INBOX_FULL");
      mail.later(MINUTE);
      await mail.post("jack", "in place of the dead one");
      expect((await mail.refusal({})).reason).toBe("INBOX_FULL");
    });

    test("is one inbox's own affair, within a batch too, and counts what the batch brought", async () => {
      const mail = await begin(open, { maxInbox: 2 });
      const outcomes = await mail.batch({ body: "1" }, { body: "2" }, { body: "3" }, { to: "ann" }, { body: "5" });
      expect(outcomes.map((outcome) => ("id" in outcome ? "stored" : refused(outcome).reason))).toEqual([
        "stored",
        "stored",
        "INBOX_FULL",
        "stored",
        "INBOX_FULL",
      ]);
    });

    test("answers a repeat as before", async () => {
      const mail = await begin(open, { maxInbox: 1 });
      const { id } = await mail.send({ requestId: "k" });
      expect(await mail.send({ requestId: "k" })).toMatchObject({ id, deduplicated: true });
    });

    test("is judged after the hops and before the rate, which it does not use up", async () => {
      const mail = await begin(open, { maxInbox: 1, maxHops: 1, rateLimit: { count: 2, windowMs: MINUTE } });
      const first = await mail.send({ to: "ann" });
      const reply = await mail.send({ inReplyTo: first.id });
      expect((await mail.refusal({ inReplyTo: reply.id })).reason).toBe("TOO_MANY_HOPS");
      expect((await mail.refusal({})).reason).toBe("INBOX_FULL");
      mail.later(MINUTE);
      expect((await mail.refusal({})).reason).toBe("INBOX_FULL");
      const outcomes = await mail.batch({ to: "bob" }, { to: "cid" }, { to: "dan" });
      expect(outcomes.slice(0, 2).map(accepted)).toHaveLength(2);
      expect(refused(outcomes[2]).reason).toBe("RATE_LIMITED");
    });

    test("registers nobody by a refused Send", async () => {
      const mail = await begin(open, { maxInbox: 1 });
      await mail.send();
      expect((await mail.refusal({ from: "new" })).reason).toBe("INBOX_FULL");
      expect(await mail.registered()).toEqual(["joe"]);
    });

    test("gets its copy of a broadcast as a dead letter, and the others get theirs", async () => {
      const mail = await begin(open, { maxInbox: 1 });
      await mail.register("ann", "bob");
      await mail.post("bob", "1");
      const sent = await mail.send({ to: "ALL", body: "all" });
      expect(sent).toMatchObject({ fullInboxes: ["bob"], recipientCount: 1 });
      expect(bodies(await mail.look("ann"))).toEqual(["all"]);
      expect(bodies(await mail.look("bob"))).toEqual(["1"]);
      expect(await mail.receipt(sent.id, "bob")).toMatchObject({
        state: "DEAD",
        deadReason: "INBOX_FULL",
        deadAt: mail.now,
      });
      await mail.untilDone("sweep");
      expect((await mail.look("joe")).messages).toEqual([]);
      await mail.read("bob");
      expect(await mail.store.redrive("bob", undefined)).toEqual({ redrivenCount: 1, unknown: [] });
      expect(bodies(await mail.look("bob"))).toEqual(["all"]);
    });

    test("is still full after a restart", async () => {
      const mail = await begin(open, { maxInbox: 2 });
      await mail.post("jack", "1", "2");
      await mail.restart();
      expect((await mail.refusal({})).reason).toBe("INBOX_FULL");
      await mail.restart({ maxInbox: 3 });
      expect((await mail.send()).recipientCount).toBe(1);
    });
  });
}
