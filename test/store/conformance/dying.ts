/** What is written down about a dead letter, the bounce that its sender gets, and the removal of an agent by force. */
import { describe, expect, test } from "vitest";
import {
  begin,
  bodies,
  DAY,
  HOUR,
  ids,
  MINUTE,
  NOON,
  type OpenStore,
  refusing,
  type StoreUnderTest,
} from "../store-under-test.ts";

/** The letters from the bus that wait for an agent, as (subject, what they are about). */
async function bounces(mail: StoreUnderTest, agent: string): Promise<[string, string | undefined][]> {
  const { messages } = await mail.look(agent, { maxMessages: 1000 });
  return messages.filter(({ sender }) => sender === "bus").map(({ subject, inReplyTo }) => [subject, inReplyTo]);
}

export function testDying(open: OpenStore): void {
  describe("a dead letter that is swept", () => {
    test("sends its sender a letter from the bus, which answers it and says what happened", async () => {
      const mail = await begin(open, { maxAttempts: 2 });
      const { id } = await mail.send({ subject: "Task", body: "secret" });
      await mail.wearOut("jack", 2);
      await mail.untilDone("sweep");
      const { messages } = await mail.look("joe");
      expect(messages).toMatchObject([
        { sender: "bus", recipient: "joe", subject: "Undelivered: Task", inReplyTo: id, expireAt: undefined },
      ]);
      for (const told of [id, "jack", "ATTEMPTS_EXHAUSTED"]) expect(messages[0]?.body).toContain(told);
      expect(messages[0]?.timestamp).toBe(mail.now);
    });

    test("looks to everyone as it did before: its state is the same, written or not", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      const [tried = ""] = await mail.post("jack", "1");
      const { id: expired } = await mail.send({ ttlMs: MINUTE });
      await mail.lease("jack", MINUTE, { maxMessages: 1 });
      mail.later(HOUR);
      const everything = async () => [
        await mail.store.getReceipt(tried, 10, undefined),
        await mail.store.getReceipt(expired, 10, undefined),
        await mail.store.getMessage("jack", tried),
        (await mail.history("jack")).items,
        (await mail.history("jack", { box: "DEAD" })).items,
        await mail.look("jack"),
      ];
      await everything();
      // Who was seen is written with the next commit: this one.
      await mail.register("ann");
      const before = await everything();
      await mail.untilDone("sweep");
      expect(await everything()).toEqual(before);
      expect(await mail.receipt(expired, "jack")).toMatchObject({ state: "DEAD", deadAt: NOON + MINUTE });
    });

    test("rings at its sender's inbox", async () => {
      const mail = await begin(open);
      await mail.send({ ttlMs: MINUTE });
      mail.rings.length = 0;
      mail.later(MINUTE);
      await mail.untilDone("sweep");
      expect(mail.rings).toEqual(["joe"]);
    });

    test("is bounced once, however often it is redriven and dies again", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      const { id } = await mail.send({ subject: "s" });
      for (let i = 0; i < 3; i++) {
        await mail.wearOut("jack", 1);
        await mail.untilDone("sweep");
        await mail.store.redrive("jack", undefined);
      }
      expect(await bounces(mail, "joe")).toEqual([["Undelivered: s", id]]);
    });

    test("is bounced past a full inbox, a used up quota and any number of hops", async () => {
      const mail = await begin(open, { maxInbox: 1, maxHops: 1, rateLimit: { count: 1, windowMs: DAY } });
      await mail.send({ from: "ann", to: "joe" });
      const parent = (await mail.look("joe")).messages[0]?.id ?? "";
      const { id } = await mail.send({ inReplyTo: parent, ttlMs: MINUTE });
      mail.later(MINUTE);
      await mail.untilDone("sweep");
      expect(await bounces(mail, "joe")).toEqual([["Undelivered: ", id]]);
    });

    test("is bounced to a sender that was removed meanwhile", async () => {
      const mail = await begin(open);
      const { id } = await mail.send({ ttlMs: MINUTE });
      await mail.store.removeAgent("joe", false);
      mail.later(MINUTE);
      await mail.untilDone("sweep");
      expect(await mail.registered()).toEqual([]);
      expect(await bounces(mail, "joe")).toEqual([["Undelivered: ", id]]);
    });

    test("is bounced to an agent that wrote to itself", async () => {
      const mail = await begin(open);
      const { id } = await mail.send({ from: "joe", to: "joe", ttlMs: MINUTE });
      mail.later(MINUTE);
      await mail.untilDone("sweep");
      expect(await bounces(mail, "joe")).toEqual([["Undelivered: ", id]]);
    });

    test("is not bounced when it is a bounce itself", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      await mail.send({ ttlMs: MINUTE });
      mail.later(MINUTE);
      await mail.untilDone("sweep");
      const { messages } = await mail.lease("joe", MINUTE);
      mail.later(MINUTE);
      await mail.untilDone("sweep");
      expect(await mail.state("joe", messages[0]?.id)).toBe("DEAD");
      expect((await mail.look("joe")).messages).toEqual([]);
      const everyone = { text: "", includeUnregistered: true, limit: 10, after: undefined };
      expect((await mail.store.listAgents(everyone)).items.map(({ name }) => name)).not.toContain("bus");
    });

    test("is not bounced when it is one of a broadcast: the receipt counts it", async () => {
      const mail = await begin(open);
      await mail.register("ann", "bob");
      const { id } = await mail.send({ to: "ALL", ttlMs: MINUTE });
      await mail.read("ann");
      mail.later(MINUTE);
      await mail.untilDone("sweep");
      expect((await mail.look("joe")).messages).toEqual([]);
      expect(await mail.store.getReceipt(id, 10, undefined)).toMatchObject({ readCount: 1, deadCount: 1 });
    });

    test("leaves alone what lives: unread, read in time, or under a lease past its ttl", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      await mail.send({ body: "read", ttlMs: MINUTE });
      await mail.read("jack");
      await mail.send({ body: "leased", ttlMs: MINUTE });
      await mail.lease("jack", HOUR);
      await mail.send({ body: "unread" });
      mail.later(2 * MINUTE);
      await mail.untilDone("sweep");
      expect((await mail.history("jack")).items.map(({ body, state }) => [body, state])).toEqual([
        ["unread", "UNREAD"],
        ["leased", "LEASED"],
        ["read", "READ"],
      ]);
      expect((await mail.look("joe")).messages).toEqual([]);
    });

    test("is found by the sweep after a restart, and however many there are", async () => {
      const mail = await begin(open);
      const sent = await mail.batch(...Array.from({ length: 700 }, () => ({ ttlMs: MINUTE })));
      await mail.restart();
      mail.later(MINUTE);
      await mail.untilDone("sweep");
      const about = (await bounces(mail, "joe")).map(([, inReplyTo]) => inReplyTo);
      expect(new Set(about)).toEqual(new Set(sent.map((outcome) => "id" in outcome && outcome.id)));
      expect(about).toHaveLength(700);
      expect(await mail.store.sweep()).toBe(false);
    });

    test("cuts the subject of the bounce to what a subject may be", async () => {
      const mail = await begin(open);
      await mail.send({ subject: "é".repeat(512), ttlMs: MINUTE });
      mail.later(MINUTE);
      await mail.untilDone("sweep");
      const [subject = ""] = (await bounces(mail, "joe"))[0] ?? [];
      expect(subject).toMatch(/^Undelivered: é+$/);
      expect(Buffer.byteLength(subject)).toBeLessThanOrEqual(1024);
    });
  });

  describe("removing an agent by force", () => {
    test("makes what is unread and leased DEAD, bounces it, and leaves the rest", async () => {
      const mail = await begin(open);
      await mail.post("jack", "read");
      await mail.read("jack");
      const [leased = "", unread = ""] = await mail.post("jack", "leased", "unread");
      const { leaseId } = await mail.lease("jack", HOUR, { maxMessages: 1 });
      mail.later(MINUTE);
      mail.rings.length = 0;
      expect(await mail.store.removeAgent("jack", true)).toBe(2);
      expect(await mail.registered()).toEqual(["joe"]);
      for (const id of [leased, unread]) {
        expect(await mail.receipt(id, "jack")).toMatchObject({
          state: "DEAD",
          deadReason: "RECIPIENT_REMOVED",
          deadAt: NOON + MINUTE,
        });
      }
      expect((await bounces(mail, "joe")).map(([, about]) => about).sort()).toEqual([leased, unread].sort());
      expect(new Set(mail.rings)).toEqual(new Set(["joe"]));
      expect((await mail.history("jack")).items.map(({ state }) => state)).toEqual(["DEAD", "DEAD", "READ"]);
      expect((await mail.store.ack("jack", [leased], leaseId)).stale).toEqual([leased]);
      await expect(mail.store.extendLease("jack", leaseId, HOUR)).rejects.toMatchObject(refusing("STALE_LEASE"));
    });

    test("leaves the reason of what was DEAD already, and does not count it", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      const [tried] = await mail.post("jack", "1");
      await mail.wearOut("jack", 1);
      await mail.post("jack", "2");
      expect(await mail.store.removeAgent("jack", true)).toBe(1);
      expect((await mail.receipt(tried, "jack")).deadReason).toBe("ATTEMPTS_EXHAUSTED");
      await mail.untilDone("sweep");
      expect(await bounces(mail, "joe")).toHaveLength(2);
    });

    test("of an empty inbox costs nothing; of a name that is not registered is refused", async () => {
      const mail = await begin(open);
      await mail.register("jack");
      expect(await mail.store.removeAgent("jack", true)).toBe(0);
      await mail.post("jack", "1");
      await expect(mail.store.removeAgent("jack", true)).rejects.toMatchObject(refusing("UNKNOWN_AGENT"));
      expect(bodies(await mail.look("jack"))).toEqual(["1"]);
    });

    test("leaves its history, its sent mail, its keys and its quota", async () => {
      const mail = await begin(open, { rateLimit: { count: 1, windowMs: DAY } });
      const sent = await mail.send({ from: "jack", to: "ann", requestId: "k" });
      await mail.post("jack", "1");
      await mail.store.removeAgent("jack", true);
      expect(ids({ messages: (await mail.history("jack", { box: "SENT" })).items })).toEqual([sent.id]);
      expect((await mail.history("jack")).items).toHaveLength(1);
      expect((await mail.send({ from: "jack", to: "ann", requestId: "k" })).deduplicated).toBe(true);
      expect((await mail.refusal({ from: "jack", to: "ann" })).reason).toBe("RATE_LIMITED");
    });

    test("leaves dead letters that can be redriven", async () => {
      const mail = await begin(open);
      const posted = await mail.post("jack", "1", "2");
      await mail.look("jack");
      await mail.store.removeAgent("jack", true);
      expect(await mail.store.redrive("jack", undefined)).toEqual({ redrivenCount: 2, unknown: [] });
      expect(ids(await mail.look("jack"))).toEqual(posted);
    });
  });
}
