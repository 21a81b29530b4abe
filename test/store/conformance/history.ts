/** The history of an agent: newest first, in three boxes, with filters, and without changing anything. */
import { describe, expect, test } from "vitest";
import type { HistoryQuery } from "#dist/store.js";
import { begin, bodies, HOUR, ids, MINUTE, NOON, type OpenStore, type StoreUnderTest } from "../store-under-test.ts";

/** Bodies of every page, one after the other; pages may be short. */
async function all(mail: StoreUnderTest, agent: string, query: Partial<HistoryQuery> = {}): Promise<string[]> {
  const found: string[] = [];
  let after: string | undefined;
  do {
    const page = await mail.history(agent, { ...query, after });
    expect(page.items.length).toBeLessThanOrEqual(query.limit ?? 100);
    found.push(...page.items.map(({ body }) => body));
    after = page.next;
  } while (after !== undefined);
  return found;
}

export function testHistory(open: OpenStore): void {
  describe("the history", () => {
    test("has what came in, newest first, in any state, and changes nothing", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      await mail.post("jack", "read", "dead", "leased", "unread");
      await mail.read("jack", { maxMessages: 1 });
      await mail.lease("jack", MINUTE, { maxMessages: 1 });
      await mail.lease("jack", HOUR, { maxMessages: 1 });
      mail.later(MINUTE);
      const { items, next } = await mail.history("jack");
      expect(items.map(({ body, state, deadReason }) => [body, state, deadReason])).toEqual([
        ["unread", "UNREAD", undefined],
        ["leased", "LEASED", undefined],
        ["dead", "DEAD", "ATTEMPTS_EXHAUSTED"],
        ["read", "READ", undefined],
      ]);
      expect(next).toBeUndefined();
      expect((await mail.history("jack")).items).toEqual(items);
      expect(bodies(await mail.look("jack"))).toEqual(["unread"]);
    });

    test("has what went out, without a state unless it also came in, and a broadcast once", async () => {
      const mail = await begin(open);
      await mail.register("ann", "bob");
      await mail.send({ body: "to jack" });
      await mail.send({ to: "joe", body: "to myself" });
      await mail.send({ to: "ALL", body: "to all" });
      const { items } = await mail.history("joe", { box: "SENT" });
      expect(items.map(({ body, recipient, state }) => [body, recipient, state])).toEqual([
        ["to all", "ALL", undefined],
        ["to myself", "joe", "UNREAD"],
        ["to jack", "jack", undefined],
      ]);
      expect(await all(mail, "joe")).toEqual(["to myself"]);
      expect(await all(mail, "ann")).toEqual(["to all"]);
      expect(await all(mail, "ann", { box: "SENT" })).toEqual([]);
    });

    test.for(["before", "after"])("has the dead letters of an inbox, %s they were swept", async (when) => {
      const mail = await begin(open, { maxAttempts: 1 });
      await mail.post("jack", "1", "2", "3");
      await mail.lease("jack", MINUTE, { maxMessages: 2 });
      mail.later(MINUTE);
      if (when === "after") await mail.untilDone("sweep");
      expect(await all(mail, "jack", { box: "DEAD" })).toEqual(["2", "1"]);
      expect(await all(mail, "jack", { box: "DEAD", limit: 1 })).toEqual(["2", "1"]);
      await mail.store.redrive("jack", undefined);
      expect(await all(mail, "jack", { box: "DEAD" })).toEqual([]);
    });

    test("of an agent that is not there is empty, and registers nobody", async () => {
      const mail = await begin(open);
      for (const box of ["INBOX", "SENT", "DEAD"] as const) {
        expect(await mail.history("nobody", { box })).toEqual({ items: [], next: undefined });
      }
      expect(await mail.registered()).toEqual([]);
    });

    test("goes page by page without skipping or repeating, while new mail comes", async () => {
      const mail = await begin(open);
      const posted = await mail.post("jack", ...Array.from({ length: 25 }, (_, i) => `${i}`));
      const found: string[] = [];
      let after: string | undefined;
      do {
        const page = await mail.history("jack", { limit: 4, after });
        found.push(...page.items.map(({ id }) => id));
        after = page.next;
        await mail.send({ body: "meanwhile" });
      } while (after !== undefined);
      expect(found).toEqual([...posted].reverse());
    });

    test("goes on after filters that match little, until everything was looked at", async () => {
      const mail = await begin(open);
      await mail.send({ from: "rare", body: "oldest" });
      for (let i = 0; i < 5; i++) await mail.batch(...Array.from({ length: 1000 }, () => ({ body: "common" })));
      await mail.send({ from: "rare", body: "newest" });
      expect(await all(mail, "jack", { peer: "rare", limit: 2 })).toEqual(["newest", "oldest"]);
    });

    test("cuts bodies at a character's edge, and says how long they are", async () => {
      const mail = await begin(open);
      await mail.post("jack", "aé€", "ab");
      expect((await mail.history("jack", { maxBodyBytes: 2 })).items).toMatchObject([
        { body: "ab", bodySize: undefined },
        { body: "a", bodySize: 6 },
      ]);
    });

    test("ends a page early when it has very much to show", async () => {
      const mail = await begin(open);
      for (let i = 0; i < 5; i++) await mail.send({ body: `${i}`.repeat(1024 * 1024) });
      const page = await mail.history("jack", { maxBodyBytes: 2 * 1024 * 1024 });
      expect(page.items.map(({ body }) => body[0])).toEqual(["4", "3", "2"]);
      const rest = await mail.history("jack", { maxBodyBytes: 2 * 1024 * 1024, after: page.next });
      expect(rest.items.map(({ body }) => body[0])).toEqual(["1", "0"]);
    });

    test("is the same after a restart", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2");
      const before = await mail.history("jack");
      await mail.restart();
      expect(await mail.history("jack")).toEqual(before);
    });
  });

  describe("the history can be narrowed", () => {
    test("to one peer, in and out", async () => {
      const mail = await begin(open);
      await mail.register("ann", "jack", "joe");
      await mail.send({ from: "joe", to: "jack", body: "joe to jack" });
      await mail.send({ from: "ann", to: "jack", body: "ann to jack" });
      await mail.send({ from: "ann", to: "ALL", body: "ann to all" });
      await mail.send({ from: "jack", to: "ann", body: "jack to ann" });
      await mail.send({ from: "jack", to: "joe", body: "jack to joe" });
      expect(await all(mail, "jack", { peer: "ann" })).toEqual(["ann to all", "ann to jack"]);
      expect(await all(mail, "jack", { peer: "joe", box: "SENT" })).toEqual(["jack to joe"]);
      expect(await all(mail, "jack", { peer: "nobody" })).toEqual([]);
    });

    test("to letters from the bus", async () => {
      const mail = await begin(open);
      await mail.send({ from: "ann", to: "joe" });
      await mail.send({ subject: "s", ttlMs: MINUTE });
      mail.later(MINUTE);
      await mail.untilDone("sweep");
      const { items } = await mail.history("joe", { peer: "bus" });
      expect(items.map(({ subject }) => subject)).toEqual(["Undelivered: s"]);
    });

    test("to the answers to one message, beyond those that a receipt names", async () => {
      const mail = await begin(open);
      const { id } = await mail.send();
      for (let i = 0; i < 25; i++) await mail.send({ from: "jack", to: "joe", body: `${i}`, inReplyTo: id });
      await mail.send({ from: "jack", to: "joe", body: "other" });
      const answers = Array.from({ length: 25 }, (_, i) => `${24 - i}`);
      expect(await all(mail, "joe", { inReplyTo: id, limit: 10 })).toEqual(answers);
      expect(await all(mail, "jack", { box: "SENT", inReplyTo: id, limit: 10 })).toEqual(answers);
    });

    test("to a time: not older than the first, older than the second", async () => {
      const mail = await begin(open);
      for (const body of ["0", "1", "2", "3"]) {
        await mail.post("jack", body);
        mail.later(MINUTE);
      }
      expect(await all(mail, "jack", { since: NOON + MINUTE })).toEqual(["3", "2", "1"]);
      expect(await all(mail, "jack", { until: NOON + MINUTE })).toEqual(["0"]);
      expect(await all(mail, "jack", { since: NOON + MINUTE, until: NOON + 3 * MINUTE })).toEqual(["2", "1"]);
    });

    test("to mail with all of some words, in subject or body, in any case and without accents", async () => {
      const mail = await begin(open);
      await mail.send({ subject: "Blog plan", body: "Publish the ÉCLAIR recipe" });
      await mail.send({ subject: "plan", body: "nothing else" });
      await mail.send({ subject: "", body: "猫が好き" });
      await mail.untilDone("index");
      const subjects = async (text: string) =>
        (await mail.history("jack", { text })).items.map(({ subject, body }) => subject || body);
      expect(await subjects("plan")).toEqual(["plan", "Blog plan"]);
      expect(await subjects("PLAN publish")).toEqual(["Blog plan"]);
      expect(await subjects("eclair")).toEqual(["Blog plan"]);
      expect(await subjects("猫")).toEqual(["猫が好き"]);
      expect(await subjects("pla")).toEqual([]);
      expect(await subjects("plan OR nothing")).toEqual([]);
      expect(await subjects('"plan" *')).toEqual(["plan", "Blog plan"]);
    });

    test("by words only within one's own mail, and in its box", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      await mail.register("ann");
      await mail.send({ from: "joe", to: "jack", body: "word one" });
      await mail.send({ from: "jack", to: "ann", body: "word two" });
      await mail.send({ from: "joe", to: "ALL", body: "word three" });
      await mail.untilDone("index");
      expect(await all(mail, "jack", { text: "word" })).toEqual(["word three", "word one"]);
      expect(await all(mail, "joe", { text: "word" })).toEqual([]);
      expect(await all(mail, "jack", { text: "word", box: "SENT" })).toEqual(["word two"]);
      expect(await all(mail, "ann", { text: "word", limit: 1 })).toEqual(["word three", "word two"]);
      await mail.lease("jack", MINUTE, { maxMessages: 1 });
      mail.later(MINUTE);
      expect(await all(mail, "jack", { text: "word", box: "DEAD" })).toEqual(["word one"]);
      expect(await all(mail, "ann", { text: "word", box: "DEAD" })).toEqual([]);
      expect(await all(mail, "ann", { text: "word", peer: "jack" })).toEqual(["word two"]);
    });

    test("by words of very much mail, made findable in slices", async () => {
      const mail = await begin(open);
      await mail.batch(...Array.from({ length: 1000 }, (_, i) => ({ body: `number${i} ${i % 2 ? "odd" : "even"}` })));
      await mail.untilDone("index");
      expect(await mail.store.index()).toBe(false);
      expect(await all(mail, "jack", { text: "number777 odd" })).toEqual(["number777 odd"]);
      expect(await all(mail, "jack", { text: "odd", limit: 90 })).toHaveLength(500);
      expect(ids({ messages: (await mail.history("jack", { text: "even", limit: 1 })).items })).toHaveLength(1);
    });
  });
}
