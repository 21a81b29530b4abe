/** What a pull hands out, how much of it, and that a look changes nothing. */
import { describe, expect, test } from "vitest";
import { begin, bodies, HOUR, ids, MINUTE, type OpenStore } from "../store-under-test.ts";

export function testPulling(open: OpenStore): void {
  describe("a pull", () => {
    test("of an empty inbox answers nothing at all, in every mode", async () => {
      const mail = await begin(open);
      const nothing = { messages: [], hasMore: false, lease: undefined, dueAt: undefined };
      for (const agent of ["first", "second"]) {
        expect(await mail.look(agent)).toEqual(nothing);
        expect(await mail.read(agent, { requestId: "r" })).toEqual(nothing);
        expect(await mail.hold(agent, MINUTE, { requestId: "h" })).toEqual(nothing);
        expect(await mail.pull(agent, { kind: "lease", ms: MINUTE }, { requestId: "l" })).toEqual(nothing);
      }
    });

    test("registers its agent, also when it finds nothing, in every mode", async () => {
      const mail = await begin(open);
      await mail.look("looker");
      await mail.read("reader");
      await mail.hold("holder", MINUTE);
      await mail.pull("worker", { kind: "lease", ms: MINUTE });
      expect(await mail.registered()).toEqual(["holder", "looker", "reader", "worker"]);
    });

    test("hands out at most maxMessages and says whether more can be pulled", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2", "3");
      const two = await mail.look("jack", { maxMessages: 2 });
      expect([bodies(two), two.hasMore]).toEqual([["1", "2"], true]);
      const three = await mail.look("jack", { maxMessages: 3 });
      expect([bodies(three), three.hasMore]).toEqual([["1", "2", "3"], false]);
    });

    test("counts subject and body in bytes of UTF-8 against maxBytes", async () => {
      const mail = await begin(open);
      for (let i = 0; i < 3; i++) await mail.send({ subject: "é", body: "\u{1f980}" });
      const fitting = await mail.look("jack", { maxBytes: 12 });
      expect([fitting.messages.length, fitting.hasMore]).toEqual([2, true]);
      const tight = await mail.look("jack", { maxBytes: 11 });
      expect([tight.messages.length, tight.hasMore]).toEqual([1, true]);
      const all = await mail.look("jack", { maxBytes: 18 });
      expect([all.messages.length, all.hasMore]).toEqual([3, false]);
    });

    test("always hands out the first message, whole, however large it is", async () => {
      const mail = await begin(open);
      const large = "x".repeat(100_000);
      await mail.post("jack", large, "small");
      const pulled = await mail.look("jack", { maxBytes: 1 });
      expect([bodies(pulled), pulled.hasMore]).toEqual([[large], true]);
    });

    test("ends before a message that is too large and does not reach for a smaller one behind it", async () => {
      const mail = await begin(open);
      await mail.post("jack", "12345", "x".repeat(50), "12345");
      const pulled = await mail.read("jack", { maxBytes: 20 });
      expect([bodies(pulled), pulled.hasMore]).toEqual([["12345"], true]);
      expect(bodies(await mail.read("jack", { maxBytes: 200 }))).toEqual(["x".repeat(50), "12345"]);
    });

    test("cuts bodies to maxBodyBytes at a character's edge and says how long they are", async () => {
      const mail = await begin(open);
      await mail.post("jack", "ab\u{1f980}cd");
      const cut = async (maxBodyBytes: number) => {
        const [message] = (await mail.look("jack", { maxBodyBytes })).messages;
        return [message?.body, message?.bodySize];
      };
      expect(await cut(1)).toEqual(["a", 8]);
      expect(await cut(2)).toEqual(["ab", 8]);
      for (const inside of [3, 4, 5]) expect(await cut(inside)).toEqual(["ab", 8]);
      expect(await cut(6)).toEqual(["ab\u{1f980}", 8]);
      expect(await cut(7)).toEqual(["ab\u{1f980}c", 8]);
      for (const whole of [8, 9, 1000]) expect(await cut(whole)).toEqual(["ab\u{1f980}cd", undefined]);
    });

    test("cuts two- and three-byte characters at their edge too, down to nothing", async () => {
      const mail = await begin(open);
      await mail.post("jack", "é€");
      const cut = async (maxBodyBytes: number) =>
        (await mail.look("jack", { maxBodyBytes })).messages.map(({ body, bodySize }) => [body, bodySize])[0];
      expect(await cut(1)).toEqual(["", 5]);
      for (const bytes of [2, 3, 4]) expect(await cut(bytes)).toEqual(["é", 5]);
      expect(await cut(5)).toEqual(["é€", undefined]);
    });

    test("cuts bodies of a lease and of a read as well, and GetMessage gives them whole", async () => {
      const mail = await begin(open);
      const [id = ""] = await mail.post("jack", "abc");
      const leased = await mail.lease("jack", MINUTE, { maxBodyBytes: 2 });
      expect(leased.messages).toMatchObject([{ body: "ab", bodySize: 3 }]);
      expect(await mail.store.getMessage("jack", id)).toMatchObject({ body: "abc", bodySize: undefined });
      mail.later(MINUTE);
      expect((await mail.read("jack", { maxBodyBytes: 1 })).messages).toMatchObject([{ body: "a", bodySize: 3 }]);
      expect(await mail.store.getMessage("jack", id)).toMatchObject({ body: "abc", bodySize: undefined });
    });

    test("counts a cut body as it is handed out", async () => {
      const mail = await begin(open);
      await mail.post("jack", "x".repeat(1000), "ééé", "ééé");
      // 3 + 2 + 2: the cut falls into the second é.
      const pulled = await mail.look("jack", { maxBytes: 7, maxBodyBytes: 3 });
      expect([bodies(pulled), pulled.hasMore]).toEqual([["xxx", "é", "é"], false]);
      expect((await mail.look("jack", { maxBytes: 6, maxBodyBytes: 3 })).hasMore).toBe(true);
    });

    test("hands out a thousand messages at once", async () => {
      const mail = await begin(open);
      await mail.batch(...Array.from({ length: 1001 }, (_, i) => ({ body: `${i}` })));
      const pulled = await mail.read("jack", { maxMessages: 1000 });
      expect([pulled.messages.length, pulled.hasMore]).toEqual([1000, true]);
      expect(bodies(await mail.read("jack"))).toEqual(["1000"]);
    });

    test("says hasMore only of what can be pulled now", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      await mail.post("jack", "dead", "leased", "read", "expired", "free");
      await mail.lease("jack", MINUTE, { maxMessages: 1 });
      mail.later(MINUTE);
      await mail.lease("jack", HOUR, { maxMessages: 1 });
      await mail.read("jack", { maxMessages: 1 });
      await mail.read("jack", { maxMessages: 1 });
      await mail.send({ body: "expiring", ttlMs: 1 });
      mail.later(1);
      const pulled = await mail.look("jack", { maxMessages: 1 });
      expect([bodies(pulled), pulled.hasMore]).toEqual([["free"], false]);
    });
  });

  describe("a look", () => {
    test("changes nothing: the same unread mail comes back next time", async () => {
      const mail = await begin(open);
      const [id] = await mail.post("jack", "1", "2");
      const first = await mail.look("jack");
      mail.later(HOUR);
      expect(await mail.look("jack")).toEqual(first);
      expect(first.messages).toMatchObject([{ deliveryAttempt: 0 }, { deliveryAttempt: 0 }]);
      expect(first.lease).toBeUndefined();
      expect(await mail.receipt(id, "jack")).toMatchObject({
        state: "UNREAD",
        deliveryAttempt: 0,
        firstPulledAt: undefined,
        readAt: undefined,
      });
    });

    test("uses up no attempts, and shows how often a message was leased before", async () => {
      const mail = await begin(open, { maxAttempts: 2 });
      await mail.post("jack", "1");
      await mail.wearOut("jack", 1);
      for (let i = 0; i < 5; i++) expect((await mail.look("jack")).messages).toMatchObject([{ deliveryAttempt: 1 }]);
    });

    test("ignores a request_id, be it that of a look, a lease or a read", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2", "3");
      const choice = { requestId: "k", maxMessages: 1 };
      expect(bodies(await mail.look("jack", choice))).toEqual(["1"]);
      expect(bodies(await mail.lease("jack", MINUTE, choice))).toEqual(["1"]);
      expect(bodies(await mail.look("jack", { requestId: "k" }))).toEqual(["2", "3"]);
      await mail.read("jack", { requestId: "l" });
      expect(bodies(await mail.look("jack", { requestId: "l" }))).toEqual([]);
    });

    test("that finds only leased mail says when the first of it may come back", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2");
      const later = await mail.lease("jack", HOUR, { maxMessages: 1 });
      const sooner = await mail.lease("jack", MINUTE, { maxMessages: 1 });
      expect((await mail.look("jack")).dueAt).toBe(sooner.expireAt);
      expect((await mail.read("jack")).dueAt).toBe(sooner.expireAt);
      mail.later(MINUTE);
      const found = await mail.look("jack");
      expect([ids(found), found.dueAt]).toEqual([ids(sooner), undefined]);
      await mail.read("jack");
      expect((await mail.look("jack")).dueAt).toBe(later.expireAt);
    });
  });
}
