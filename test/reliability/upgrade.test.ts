/** A database that an older agentbus left is today's bus: all of its mail, in its state, and every promise about it. */
import { toJson } from "@bufbuild/protobuf";
import { TimestampSchema, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { faultsOf } from "../fixtures/database-checks.ts";
import { history, jsonCalls, type Listed } from "../fixtures/json-calls.ts";
import { startBus, type TestBus } from "../start-bus.ts";
import { fastFolder } from "./fast-folder.ts";
import { fixtures, mailIn, migrations, type OldMail, writeOldDatabase } from "./upgrade/old-databases.ts";

/** As write-fixture.ts had them, for what the subjects say to be true. */
const FLAGS = { maxAttempts: "2", rateLimit: "10/min" } as const;
const SOON = { timeout: 5000 };

/** What the subject says of a message: "is READ", "is DEAD, EXPIRED"; a bounce was never read. */
function promised(subject: string): { state: string; deadReason: string | undefined } {
  const [, state, deadReason] = /^is ([A-Z]+)(?:, ([A-Z_]+))?$/.exec(subject) ?? [];
  return { state: `DELIVERY_STATE_${state ?? "UNREAD"}`, deadReason };
}

async function upgraded(version: number, flags: object = FLAGS) {
  const folder = fastFolder();
  writeOldDatabase(version, `${folder}/bus.db`);
  const old = mailIn(`${folder}/bus.db`);
  const bus = await startBus(flags, folder);
  const inboxes = [...new Set(old.mail.map(({ inbox }) => inbox))];
  return { ...old, bus, inboxes, call: jsonCalls(bus.port) };
}

const byInbox = (mail: readonly OldMail[], inbox: string) => mail.filter((message) => message.inbox === inbox);

/** In protobuf's JSON: without a fraction where there is none. */
const wireTime = (ms: number) => toJson(TimestampSchema, timestampFromMs(ms));

/** As a history must show it; what is not there is absent. */
function asListed(old: OldMail): Listed {
  const { id, from, to, subject, body, at, in_reply_to: inReplyTo, hops, traceparent, expire_at: expireAt } = old;
  const { state, deadReason } = promised(subject);
  const attempts = old.attempts > 0 && { deliveryAttempt: old.attempts };
  return {
    ...{ id, from, to, subject, body, state, timestamp: wireTime(at), ...attempts },
    ...(inReplyTo !== null && { inReplyTo }),
    ...(hops > 0 && { hops }),
    ...(traceparent !== null && { traceparent }),
    ...(expireAt !== null && { expireTime: wireTime(expireAt) }),
    ...(deadReason !== undefined && { deadReason }),
  };
}

/** How many more the bus says are unread than its history shows. */
async function miscounted(bus: TestBus, inbox: string): Promise<number> {
  const { agents } = await bus.ok("ListAgents", { query: inbox, includeUnregistered: true });
  const agent = agents.find(({ name }: { name: string }) => name === inbox);
  const { messages } = await bus.ok("ListMessages", { agent: inbox, pageSize: 1000 });
  const waits = messages.filter(({ state }: Listed) => /_(UNREAD|LEASED)$/.test(state));
  return (agent?.unreadCount ?? 0) - waits.length; // one that nobody registered and nothing waits for is not listed
}

/** Sends again what a request_id stands for. */
function repeat(bus: TestBus, { from, to, subject, body, in_reply_to: inReplyTo }: OldMail, requestId: string) {
  const content = { from, subject, body, requestId, ...(inReplyTo !== null && { inReplyTo }) };
  return to === "ALL" ? bus.ok("Broadcast", content) : bus.ok("Send", { ...content, to });
}

test("every version of the schema has a fixture, the newest too: write-fixture.ts makes one", () => {
  expect(fixtures).toEqual(migrations.map((_, i) => i + 1));
});

describe.for(fixtures)("a database of schema version %i", (version) => {
  test("keeps every message whole, in its state, counted and findable, and tells who must know of the dead ones", async () => {
    const { mail, bus, inboxes, call } = await upgraded(version);
    expect(mail.length).toBeGreaterThan(30);
    for (const inbox of inboxes) {
      const listed = await history(call, inbox, { maxBodyBytes: 1_000_000 });
      const expected = byInbox(mail, inbox).map(asListed);
      expect(listed.slice(0, expected.length)).toEqual(expected);
      // A bounce may come between the two questions.
      await expect.poll(() => miscounted(bus, inbox), SOON).toBe(0);
    }
    for (const inbox of inboxes) {
      const old = byInbox(mail, inbox).filter(({ body }) => body.includes("old"));
      const found = async () => (await history(call, inbox, { text: "OLD" })).map(({ id }) => id);
      await expect.poll(found, SOON).toEqual(expect.arrayContaining(old.map(({ id }) => id)));
    }
    await expect.poll(async () => (await history(call, "unread", { text: "grüße 日本語" })).length, SOON).toBe(1);
    const dead = mail.filter(({ subject }) => promised(subject).state === "DELIVERY_STATE_DEAD");
    expect(dead.length).toBeGreaterThan(1);
    for (const { id, from, subject } of dead) {
      const bounces = async () => (await history(call, from, { inReplyTo: id })).map((message) => message.subject);
      await expect.poll(bounces, SOON).toEqual([`Undelivered: ${subject}`]);
    }
    await bus.stop();
    expect(faultsOf(`${bus.folder}/bus.db`)).toEqual([]);
  });

  test("knows every request_id again, and refuses one with other content", async () => {
    const { mail, keys, bus } = await upgraded(version);
    expect(keys.length).toBeGreaterThan(15);
    for (const { message_id: id, request_id: requestId, from } of keys) {
      const old = mail.find((message) => message.id === id) as OldMail;
      expect(await repeat(bus, old, requestId), requestId).toMatchObject({ id, deduplicated: true });
      const other = await bus.call("Send", { from, to: "jack", subject: "other", requestId });
      expect(other, requestId).toMatchObject({ status: 409, body: { code: "already_exists" } });
    }
    await bus.stop();
    expect(mailIn(`${bus.folder}/bus.db`).mail.filter(({ from }) => from !== "bus")).toHaveLength(
      mail.filter(({ from }) => from !== "bus").length,
    );
  });

  test("goes on with its leases, repeated reads and quotas, and hands out what was unread in its order", async () => {
    const { mail, bus, inboxes } = await upgraded(version);
    const id = (inbox: string) => byInbox(mail, inbox).find(({ to }) => to === inbox)?.id;
    const lease = { agent: "leased", leaseSeconds: 3600, requestId: "lease-1" };
    const held = await bus.ok("PullInbox", lease);
    expect(held.messages).toMatchObject([{ id: id("leased"), deliveryAttempt: 1 }]);
    const ack = { agent: "leased", leaseId: held.leaseId, messageIds: [id("leased")] };
    expect(await bus.ok("Ack", ack)).toMatchObject({ ackedCount: 1, staleMessageIds: [] });
    const read = await bus.ok("PullInbox", { agent: "read", markRead: true, requestId: "read-1" });
    expect(read.messages).toMatchObject([{ id: id("read") }]);
    const busy = await bus.call("Send", { from: "busy", to: "jack", body: "one too many" });
    expect(busy).toMatchObject({ status: 429, body: { message: expect.stringMatching(/^RATE_LIMITED/) } });
    for (const inbox of inboxes) {
      const unread = byInbox(mail, inbox).filter(({ subject }) => promised(subject).state === "DELIVERY_STATE_UNREAD");
      await bus.ok("Send", { from: `new-${inbox}`, to: inbox, subject: "new" });
      const { messages } = await bus.ok("PullInbox", { agent: inbox, markRead: true });
      const handed = messages.filter(({ from }: Listed) => from !== "bus").map(({ subject }: Listed) => subject);
      const old = unread.filter(({ from }) => from !== "bus").map(({ subject }) => subject);
      expect(handed, inbox).toEqual([...old, "new"]);
    }
  });
});

describe.for(fixtures.filter((version) => version >= 3))("a database of schema version %i", (version) => {
  test("lets its agent tokens in, each to its own inbox", async () => {
    const { bus } = await upgraded(version, { ...FLAGS, token: "shared" });
    const headers = { "x-bus-token": "agentbus_fixture" };
    expect((await bus.call("PullInbox", { agent: "jack" }, headers)).status).toBe(200);
    expect((await bus.call("PullInbox", { agent: "read" }, headers)).status).toBe(403);
  });
});
