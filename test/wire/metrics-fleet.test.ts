/**
 * How the fleet stands at GET /metrics: every agent of a small one, a hundred of a large one, and what that costs the store.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Registry } from "prom-client";
import { describe, expect, test } from "vitest";
import { addFleetGauges } from "#dist/server/fleet-gauges.js";
import { createLog } from "#dist/server/log.js";
import { startBus } from "../start-bus.ts";
import { scrape } from "./scrape.ts";

describe("how the fleet stands", () => {
  test("names every agent of a small fleet: its unread mail, how old that is, when it was last seen", async () => {
    const bus = await startBus();
    const began = Date.now() / 1000;
    await bus.ok("RegisterAgent", { agent: "idle" });
    await bus.ok("SendBatch", { requests: ["jack", "jack", "jill"].map((to) => ({ from: "joe", to })) });
    const { messages } = await bus.ok("PullInbox", { agent: "jack", leaseSeconds: 60 });
    await bus.ok("Ack", { agent: "jack", messageIds: [messages[0].id] });
    await sleep(1000);
    const seen = await scrape(bus);
    expect(seen.by("agentbus_inbox_unread_messages", "agent")).toEqual({ idle: 0, jack: 1, jill: 1, joe: 0 });
    expect([seen.value("agentbus_agents"), seen.value("agentbus_unread_messages")]).toEqual([3, 2]);
    const ages = seen.by("agentbus_inbox_oldest_unread_age_seconds", "agent");
    expect(Object.keys(ages).sort()).toEqual(["jack", "jill"]);
    const most = Date.now() / 1000 - began;
    for (const age of [...Object.values(ages), seen.value("agentbus_oldest_unread_age_seconds")]) {
      expect(age).toBeGreaterThanOrEqual(0.9);
      expect(age).toBeLessThanOrEqual(most);
    }
    const lastSeen = seen.by("agentbus_agent_last_seen_timestamp_seconds", "agent");
    // jill never called: mail waits for that name.
    expect(Object.keys(lastSeen).sort()).toEqual(["idle", "jack", "joe"]);
    for (const at of Object.values(lastSeen)) expect(Math.abs(at - began)).toBeLessThan(most + 1);
    expect(seen.value("agentbus_wal_bytes")).toBeGreaterThan(0);
    expect(seen.value("agentbus_database_bytes")).toBeGreaterThan(seen.value("agentbus_wal_bytes"));
    expect(seen.value("agentbus_disk_free_bytes")).toBeGreaterThan(0);
  });

  test("names a hundred agents of a large one: those whose mail is oldest, and most; totals are of all", async () => {
    const bus = await startBus();
    const names = (kind: string, count: number) => Array.from({ length: count }, (_, n) => `${kind}-${n}`);
    const send = (to: string[]) =>
      bus.ok("SendBatch", { requests: to.map((recipient) => ({ from: "joe", to: recipient })) });
    const old = names("old", 50);
    await send(old);
    await sleep(20);
    await send([...names("new", 449), "full", "full"]);
    const seen = await scrape(bus);
    const unread = seen.by("agentbus_inbox_unread_messages", "agent");
    expect(Object.keys(unread)).toHaveLength(100);
    expect(Object.keys(unread)).toEqual(expect.arrayContaining([...old, "full"]));
    expect(Object.keys(seen.by("agentbus_inbox_oldest_unread_age_seconds", "agent"))).toHaveLength(100);
    expect(seen.value("agentbus_unread_messages")).toBe(501);
    const named = [...seen.samples.keys()].filter((sample) => sample.includes('agent="'));
    expect(named.length).toBeLessThanOrEqual(300);
  });
});

describe("a store that is asked for /metrics", () => {
  const inbox = { agent: "jack", registered: true, unreadCount: 1, oldestUnreadAt: 0, lastSeenAt: 0 };

  test("is read once for all scrapes of the next seconds", async () => {
    let reads = 0;
    const registry = new Registry();
    addFleetGauges(registry, {
      store: {
        inboxes: async () => {
          reads++;
          return { items: [inbox], next: undefined };
        },
        space: async () => ({ databaseBytes: 2, journalBytes: 1, freeBytes: undefined }),
      },
      waiting: () => 0,
      clock: () => 5000,
      log: createLog("silent"),
    });
    const texts = await Promise.all(Array.from({ length: 100 }, () => registry.metrics()));
    for (const text of texts) expect(text).toContain('agentbus_inbox_oldest_unread_age_seconds{agent="jack"} 5\n');
    expect(reads).toBe(1);
    expect(texts[0]).not.toMatch(/^agentbus_disk_free_bytes/m);
  });

  test("and can't be read leaves out what it knows: all the rest is told, and the log says why", async () => {
    const registry = new Registry();
    const fail = () => Promise.reject(new Error("the disk is ill"));
    const errors: object[] = [];
    const log = createLog("silent");
    log.error = (line: object) => void errors.push(line);
    addFleetGauges(registry, { store: { inboxes: fail, space: fail }, waiting: () => 3, clock: () => 0, log });
    const text = await registry.metrics();
    expect(text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))).toEqual([
      "agentbus_waiting_pulls 3",
    ]);
    expect(errors).toHaveLength(2);
  });
});
