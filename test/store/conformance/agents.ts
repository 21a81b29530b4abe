/** Agents: registering, listing, being seen and being removed. */
import { describe, expect, test, vi } from "vitest";
import type { Agent } from "#dist/message.js";
import type { AgentQuery } from "#dist/store.js";
import {
  begin,
  bodies,
  HOUR,
  ids,
  MINUTE,
  NOON,
  type OpenStore,
  present,
  refusing,
  type StoreUnderTest,
} from "../store-under-test.ts";

/** The store writes down who was seen within a few seconds, also when nothing else is written. */
const SEEN_WITHIN_MS = 10_000;

function list(mail: StoreUnderTest, query: Partial<AgentQuery> = {}) {
  return mail.store.listAgents({ text: "", includeUnregistered: false, limit: 100, after: undefined, ...query });
}

async function names(mail: StoreUnderTest, query: Partial<AgentQuery> = {}): Promise<string[]> {
  return (await list(mail, query)).items.map(({ name }) => name);
}

async function agent(mail: StoreUnderTest, name: string): Promise<Agent> {
  const { items } = await list(mail, { includeUnregistered: true });
  return present(items.find((one) => one.name === name));
}

export function testAgents(open: OpenStore): void {
  describe("registering an agent", () => {
    test("answers the agent as it is now", async () => {
      const mail = await begin(open);
      expect(await mail.store.registerAgent("jack", "writes blog posts")).toEqual({
        name: "jack",
        description: "writes blog posts",
        registeredAt: NOON,
        lastSeenAt: NOON,
        unreadCount: 0,
        oldestUnreadAt: undefined,
        deadCount: 0,
      });
    });

    test("again updates the description: absent leaves it, empty removes it, and the first time stays", async () => {
      const mail = await begin(open);
      await mail.store.registerAgent("jack", "first");
      mail.later(MINUTE);
      const description = async (text: string | undefined) =>
        (await mail.store.registerAgent("jack", text)).description;
      expect(await description(undefined)).toBe("first");
      expect(await description("second")).toBe("second");
      expect(await description("")).toBe("");
      expect(await agent(mail, "jack")).toMatchObject({ registeredAt: NOON, lastSeenAt: NOON + MINUTE });
    });

    test("shows the mail that waited for it", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1", "2");
      mail.later(MINUTE);
      expect(await mail.store.registerAgent("jack", undefined)).toMatchObject({
        registeredAt: NOON + MINUTE,
        unreadCount: 2,
        oldestUnreadAt: NOON,
      });
    });

    test("is done by the first Send of an agent, not by the first mail to it", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      expect(await agent(mail, "joe")).toMatchObject({ registeredAt: NOON, description: "" });
      expect(await agent(mail, "jack")).toMatchObject({ registeredAt: undefined, lastSeenAt: undefined });
    });

    test("is done by the first pull, at its time", async () => {
      const mail = await begin(open);
      await mail.post("jack", "1");
      mail.later(MINUTE);
      await mail.look("jack");
      expect(await agent(mail, "jack")).toMatchObject({ registeredAt: NOON + MINUTE, lastSeenAt: NOON + MINUTE });
    });

    test("leaves a description and the first time alone when sending and pulling", async () => {
      const mail = await begin(open);
      await mail.store.registerAgent("joe", "sends");
      mail.later(MINUTE);
      await mail.send();
      await mail.look("joe");
      expect(await agent(mail, "joe")).toMatchObject({ description: "sends", registeredAt: NOON });
    });

    test("outlives a restart", async () => {
      const mail = await begin(open);
      await mail.store.registerAgent("jack", "writes");
      await mail.restart();
      expect(await agent(mail, "jack")).toMatchObject({ description: "writes", registeredAt: NOON });
    });
  });

  describe("listing agents", () => {
    test("goes by name, a page at a time, and says where the next page begins", async () => {
      const mail = await begin(open);
      await mail.register("b", "a-2", "a.1", "a", "10", "9", "a_3");
      const sorted = ["10", "9", "a", "a-2", "a.1", "a_3", "b"];
      expect(await names(mail)).toEqual(sorted);
      const found: string[] = [];
      let after: string | undefined;
      do {
        const page = await list(mail, { limit: 2, after });
        expect(page.items.length).toBeLessThanOrEqual(2);
        found.push(...page.items.map(({ name }) => name));
        after = page.next;
      } while (after !== undefined);
      expect(found).toEqual(sorted);
    });

    test("ends with a full last page, not with an empty one", async () => {
      const mail = await begin(open);
      await mail.register("a", "b");
      const page = await list(mail, { limit: 2 });
      expect([page.items.length, page.next]).toEqual([2, undefined]);
      expect(await list(mail, { after: "b" })).toEqual({ items: [], next: undefined });
    });

    test("shows only names or descriptions with the text, in any case, and takes the text as it is", async () => {
      const mail = await begin(open);
      await mail.store.registerAgent("writer", "Blog posts, 100%");
      await mail.store.registerAgent("blogger", "");
      await mail.store.registerAgent("tester_1", "Prüft ÄNDERUNGEN");
      expect(await names(mail, { text: "BLOG" })).toEqual(["blogger", "writer"]);
      expect(await names(mail, { text: "WRIT" })).toEqual(["writer"]);
      expect(await names(mail, { text: "änderungen" })).toEqual(["tester_1"]);
      expect(await names(mail, { text: "%" })).toEqual(["writer"]);
      expect(await names(mail, { text: "_" })).toEqual(["tester_1"]);
      expect(await names(mail, { text: "nothing" })).toEqual([]);
    });

    test("filters before it counts a page", async () => {
      const mail = await begin(open);
      await mail.register("a1", "b1", "a2", "b2", "a3");
      const page = await list(mail, { text: "a", limit: 2 });
      expect([page.items.map(({ name }) => name), page.next]).toEqual([["a1", "a2"], "a2"]);
      expect(await names(mail, { text: "a", after: "a2" })).toEqual(["a3"]);
    });

    test("shows names that mail waits for and nobody registered only when asked", async () => {
      const mail = await begin(open);
      await mail.post("waiting", "1");
      await mail.post("read", "2");
      const [id = ""] = await mail.post("read", "3");
      expect(await names(mail)).toEqual(["joe"]);
      expect(await names(mail, { includeUnregistered: true })).toEqual(["joe", "read", "waiting"]);
      await mail.store.ack("read", [id], undefined);
      expect(await agent(mail, "read")).toMatchObject({ registeredAt: undefined, unreadCount: 1 });
    });

    test("does not show an unregistered name whose mail was all read, nor one that was never written to", async () => {
      const mail = await begin(open);
      const [id = ""] = await mail.post("waiting", "1");
      await mail.store.ack("waiting", [id], undefined);
      await mail.store.ack("nobody", [id], undefined);
      expect(await names(mail, { includeUnregistered: true })).toEqual(["joe"]);
    });

    test("counts UNREAD and LEASED as unread, DEAD apart, and names the time of the oldest unread", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      await mail.post("jack", "dead");
      await mail.wearOut("jack", 1);
      await mail.post("jack", "leased");
      mail.later(MINUTE);
      await mail.post("jack", "read", "unread");
      await mail.send({ body: "expired", ttlMs: 1 });
      const leased = await mail.lease("jack", HOUR, { maxMessages: 1 });
      await mail.read("jack", { maxMessages: 1 });
      mail.later(1);
      expect(bodies(leased)).toEqual(["leased"]);
      expect(await agent(mail, "jack")).toMatchObject({
        unreadCount: 2,
        oldestUnreadAt: NOON + MINUTE,
        deadCount: 2,
      });
      await mail.store.ack("jack", ids(leased), undefined);
      expect(await agent(mail, "jack")).toMatchObject({ unreadCount: 1, oldestUnreadAt: NOON + 2 * MINUTE });
    });

    test("names registered agents for suggestions, in order, at most so many", async () => {
      const mail = await begin(open);
      await mail.register("c", "a", "b", "gone");
      await mail.store.removeAgent("gone", false);
      await mail.post("unregistered", "1");
      expect(await mail.store.agentNames(10)).toEqual(["a", "b", "c", "joe"]);
      expect(await mail.store.agentNames(2)).toEqual(["a", "b"]);
    });
  });

  describe("removing an agent", () => {
    test("takes its name off the list and leaves its history", async () => {
      const mail = await begin(open);
      await mail.register("jack");
      const [id = ""] = await mail.post("jack", "1");
      await mail.read("jack");
      await mail.store.removeAgent("jack", false);
      expect(await names(mail, { includeUnregistered: true })).toEqual(["joe"]);
      expect(await mail.store.getMessage("jack", id)).toMatchObject({ body: "1", state: "READ" });
      expect(await mail.receipt(id, "jack")).toMatchObject({ state: "READ" });
    });

    test("is refused for a name that is not registered", async () => {
      const mail = await begin(open);
      await mail.post("waiting", "1");
      await mail.register("twice");
      await mail.store.removeAgent("twice", false);
      for (const name of ["nobody", "waiting", "twice"]) {
        await expect(mail.store.removeAgent(name, false)).rejects.toMatchObject(refusing("UNKNOWN_AGENT"));
      }
      expect((await mail.look("waiting")).messages).toHaveLength(1);
    });

    test("is refused while mail is unread or leased, and changes nothing", async () => {
      const mail = await begin(open);
      await mail.store.registerAgent("jack", "works");
      await mail.post("jack", "1");
      await expect(mail.store.removeAgent("jack", false)).rejects.toMatchObject(refusing("INBOX_NOT_EMPTY"));
      const leased = await mail.lease("jack", MINUTE);
      await expect(mail.store.removeAgent("jack", false)).rejects.toMatchObject(refusing("INBOX_NOT_EMPTY"));
      expect(await agent(mail, "jack")).toMatchObject({ description: "works", unreadCount: 1 });
      await mail.store.ack("jack", ids(leased), undefined);
      await mail.store.removeAgent("jack", false);
      expect(await names(mail)).toEqual(["joe"]);
    });

    test("is not hindered by dead letters", async () => {
      const mail = await begin(open, { maxAttempts: 1 });
      await mail.post("jack", "1");
      await mail.wearOut("jack", 1);
      await mail.store.removeAgent("jack", false);
      expect(await names(mail)).toEqual(["joe"]);
    });

    test("holds further mail for the name, which the next pull registers anew", async () => {
      const mail = await begin(open);
      await mail.register("jack");
      await mail.store.removeAgent("jack", false);
      expect((await mail.send({ body: "1" })).recipientKnown).toBe(false);
      expect(await names(mail, { includeUnregistered: true })).toEqual(["jack", "joe"]);
      expect(bodies(await mail.look("jack"))).toEqual(["1"]);
      expect(await names(mail)).toEqual(["jack", "joe"]);
    });

    test("outlives a restart", async () => {
      const mail = await begin(open);
      await mail.register("jack", "ann");
      await mail.store.removeAgent("jack", false);
      await mail.restart();
      expect(await names(mail)).toEqual(["ann"]);
    });
  });

  describe("when an agent was last seen", () => {
    const calls: [string, (mail: StoreUnderTest, id: string, leaseId: string) => Promise<unknown>][] = [
      ["a Send", (mail) => mail.send({ from: "jack", to: "joe" })],
      ["a repeated Send", (mail) => mail.send({ from: "jack", to: "joe", requestId: "first" })],
      ["a look", (mail) => mail.look("jack")],
      ["a pull that finds something", (mail) => mail.read("jack", { maxMessages: 1 })],
      ["a pull that finds nothing", (mail) => mail.read("jack", { requestId: "nothing" })],
      ["an Ack", (mail, id) => mail.store.ack("jack", [id], undefined)],
      ["an Ack that finds nothing", (mail) => mail.store.ack("jack", ["x"], undefined)],
      ["prolonging a lease", (mail, _, leaseId) => mail.store.extendLease("jack", leaseId, MINUTE)],
      ["giving a lease back", (mail, _, leaseId) => mail.store.giveBack("jack", leaseId, undefined)],
      ["GetMessage", (mail, id) => mail.store.getMessage("jack", id)],
      ["registering again", (mail) => mail.store.registerAgent("jack", undefined)],
    ];
    test.for(calls)("%s counts, and is on disk when the store is closed", async ([, call]) => {
      const mail = await begin(open);
      await mail.send({ from: "jack", to: "joe", requestId: "first" });
      const [id = ""] = await mail.post("jack", "1", "2");
      const { leaseId } = await mail.lease("jack", HOUR, { maxMessages: 1 });
      mail.later(MINUTE);
      await call(mail, id, leaseId);
      const seen = mail.now;
      mail.later(MINUTE);
      await mail.restart();
      expect((await agent(mail, "jack")).lastSeenAt).toBe(seen);
    });

    test("is written with the next commit, whoever's it is", async () => {
      const mail = await begin(open);
      await mail.register("jack");
      mail.later(MINUTE);
      await mail.look("jack");
      mail.later(MINUTE);
      await mail.register("ann");
      expect((await agent(mail, "jack")).lastSeenAt).toBe(NOON + MINUTE);
    });

    test("is written within some seconds when nothing else is", async () => {
      const mail = await begin(open);
      await mail.register("jack");
      mail.later(MINUTE);
      await mail.look("jack");
      await vi.waitFor(async () => expect((await agent(mail, "jack")).lastSeenAt).toBe(NOON + MINUTE), {
        timeout: SEEN_WITHIN_MS,
        interval: 100,
      });
    });

    test("does not change by being written to or listed", async () => {
      const mail = await begin(open);
      await mail.register("jack");
      mail.later(MINUTE);
      const [id = ""] = await mail.post("jack", "1");
      await mail.store.getReceipt(id, 10, undefined);
      await list(mail);
      await mail.restart();
      expect((await agent(mail, "jack")).lastSeenAt).toBe(NOON);
    });
  });
}
