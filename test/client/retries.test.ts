/** Which calls are made again, for how long, and which are not: against a real bus behind a network that fails. */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BusRefusal, UnreachableError } from "#dist/client/index.js";
import { startLossyProxy } from "../reliability/lost-responses/lossy-proxy.ts";
import { spawnBus, startBus, type TestBus, temporaryFolder } from "../start-bus.ts";
import { chanceOf } from "../wire/seeded-chance.ts";
import { clientFor } from "./client-for.ts";
import { startCuttableProxy } from "./cuttable-proxy.ts";
import { type Fate, startFailingProxy } from "./failing-proxy.ts";

const BUSY = { status: 503, body: { code: "unavailable", message: "BUSY: too many calls" } };
/** google.rpc.RetryInfo { retry_delay { seconds: 1 } } */
const AFTER_A_SECOND = [
  { type: "google.rpc.RetryInfo", value: Buffer.from([0x0a, 0x02, 0x08, 0x01]).toString("base64") },
];

const always = (fate: Fate) => () => fate;
const firstTimes = (times: number, fate: Fate) => (_: string, call: number) => (call <= times ? fate : undefined);

let bus: TestBus;
beforeAll(async () => {
  bus = await startBus({}, temporaryFolder(afterAll), afterAll);
});

/** Joe and the bus of this file, with a network between them. */
async function joeBehind(fateOf?: Parameters<typeof startFailingProxy>[1], options = {}) {
  const proxy = await startFailingProxy(bus.port, fateOf);
  return { proxy, joe: clientFor(proxy, options) };
}

describe("a network that loses a third of all answers", () => {
  test("does no harm: every message is stored once, and every one is worked on once", async () => {
    const proxy = await startLossyProxy(bus.port, 0.3, chanceOf(14));
    const joe = clientFor({ url: `http://127.0.0.1:${proxy.port}` });
    const bodies = Array.from({ length: 50 }, (_, i) => `message ${i}`);
    const ids = new Set<string>();
    for (const body of bodies.slice(0, 20)) ids.add((await joe.rpc.send({ sender: "joe", recipient: "moe", body })).id);
    await Promise.all(
      bodies.slice(20).map(async (body) => {
        const sent = await joe.send({ to: "moe", body });
        if (sent.status === "sent") ids.add(sent.id);
      }),
    );
    expect(ids.size).toBe(bodies.length);
    const seen: string[] = [];
    // A pull may reach the bus late, behind its own repeat, and lease for nobody: that mail comes when its lease ran out.
    const options = { leaseSeconds: 1, signal: untilSeen(seen, bodies.length), onError: () => {} };
    await joe.work("moe", ({ body }) => seen.push(body), options);
    expect(seen.sort()).toEqual(bodies.sort());
    expect(proxy.forwarded).toBeGreaterThan(bodies.length);
    expect(Object.values(proxy.lost).every((times) => times > 0)).toBe(true);
  });
});

/** Aborts once so many were seen. */
function untilSeen(seen: readonly unknown[], count: number): AbortSignal {
  const stop = new AbortController();
  const timer = setInterval(() => {
    if (seen.length < count) return;
    clearInterval(timer);
    stop.abort();
  }, 20);
  return stop.signal;
}

describe("a lost answer", () => {
  test.each([
    ["Send, with a request_id that the client makes", "send", { sender: "joe", recipient: "jack" }],
    ["SendBatch, likewise", "sendBatch", { requests: [{ sender: "joe", recipient: "jack" }] }],
    ["Broadcast, likewise", "broadcast", { sender: "joe" }],
    ["PullInbox with a lease, likewise", "pullInbox", { agent: "jack", leaseSeconds: 30 }],
    ["PullInbox that marks read, likewise", "pullInbox", { agent: "jack", markRead: true }],
    ["a look", "pullInbox", { agent: "jack" }],
    ["Ack", "ack", { agent: "jack", messageIds: ["nonsense"] }],
    ["ListAgents", "listAgents", {}],
  ] as const)("is asked for again: %s", async (_, method, request) => {
    const { proxy, joe } = await joeBehind(firstTimes(1, "cut after"));
    await joe.rpc[method](request as never);
    expect(proxy.calls).toHaveLength(2);
  });

  test.each([
    ["redriveDeadLetters", { agent: "jack" }],
    ["removeAgent", { agent: "jack", force: true }],
  ] as const)("is not asked for again where a repeat may do more: %s", async (method, request) => {
    const { proxy, joe } = await joeBehind(firstTimes(1, "cut before"));
    const error = await joe.rpc[method](request).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(UnreachableError);
    expect(error).toMatchObject({ mayHaveArrived: true });
    expect(proxy.calls).toHaveLength(1);
  });

  test("of a lease is taken up: the repeat hands out the same message, as the same attempt", async () => {
    const { joe } = await joeBehind((method, call) => (method === "PullInbox" && call === 1 ? "cut after" : undefined));
    await bus.ok("Send", { from: "joe", to: "kim", body: "one" });
    const { messages } = await joe.rpc.pullInbox({ agent: "kim", leaseSeconds: 30 });
    expect(messages).toMatchObject([{ body: "one", deliveryAttempt: 1 }]);
  });
});

describe("a bus that is away", () => {
  test("is asked again until it is back, also by a call that may be made only once: it never left", async () => {
    const own = await spawnBus();
    await own.kill("SIGKILL");
    const joe = clientFor(own);
    const [sending, redriving] = [joe.send({ to: "jack", body: "x" }), joe.rpc.redriveDeadLetters({ agent: "jack" })];
    await delay(300);
    await spawnBus({}, { folder: own.folder, port: own.port });
    expect(await sending).toMatchObject({ status: "sent" });
    expect(await redriving).toMatchObject({ redrivenCount: 0 });
  });

  test("is given up after retryForMs, with an UnreachableError", async () => {
    const proxy = await startCuttableProxy(bus.port);
    proxy.cut();
    const began = performance.now();
    const error = await clientFor(proxy, { retryForMs: 500 })
      .send({ to: "jack", body: "x" })
      .catch((caught) => caught);
    expect(error).toBeInstanceOf(UnreachableError);
    expect(performance.now() - began).toBeLessThan(5000);
  });

  test("is asked once with retryForMs 0", async () => {
    const { proxy, joe } = await joeBehind(always("cut before"), { retryForMs: 0 });
    await expect(joe.rpc.listAgents({})).rejects.toBeInstanceOf(UnreachableError);
    expect(proxy.calls).toHaveLength(1);
  });

  test("leaves a call its own deadline, over all tries", async () => {
    const { proxy, joe } = await joeBehind(always("cut before"));
    const began = performance.now();
    await expect(joe.rpc.listAgents({}, { timeoutMs: 700 })).rejects.toBeInstanceOf(UnreachableError);
    expect(performance.now() - began).toBeLessThan(5000);
    expect(proxy.calls.length).toBeGreaterThan(1);
  });

  test("is not asked again once the caller aborts: the call rejects at once, with the caller's own reason", async () => {
    const { joe } = await joeBehind(always("cut before"));
    const stop = new AbortController();
    const reason = new Error("changed my mind");
    setTimeout(() => stop.abort(reason), 300);
    await expect(joe.rpc.listAgents({}, { signal: stop.signal })).rejects.toBe(reason);
  });

  test("though it holds the connection is given up after timeoutMs, and another of its nodes is asked", async () => {
    const hung = await spawnBus();
    hung.process.kill("SIGSTOP");
    const joe = clientFor({ url: `${hung.url},${bus.url}` }, { timeoutMs: 400 });
    expect(await joe.send({ to: "liz", body: "x" })).toMatchObject({ status: "sent" });
    expect((await bus.ok("PullInbox", { agent: "liz" })).messages).toHaveLength(1);
  });

  test("and is no bus at all is not asked again", async () => {
    const { proxy, joe } = await joeBehind(always({ status: 404, body: {} }));
    await expect(joe.rpc.listAgents({})).rejects.toBeInstanceOf(UnreachableError);
    expect(proxy.calls).toHaveLength(1);
  });
});

describe("a bus that says UNAVAILABLE", () => {
  test("is asked again where a repeat does no harm", async () => {
    const { proxy, joe } = await joeBehind(firstTimes(2, BUSY));
    expect(await joe.send({ to: "jack", body: "x" })).toMatchObject({ status: "sent" });
    expect(proxy.calls).toEqual(["Send", "Send", "Send"]);
  });

  test("is asked again no sooner than it said", async () => {
    const busy = { status: 503, body: { ...BUSY.body, details: AFTER_A_SECOND } };
    const { joe } = await joeBehind(firstTimes(1, busy));
    const began = performance.now();
    await joe.rpc.listAgents({});
    expect(performance.now() - began).toBeGreaterThanOrEqual(1000);
  });

  test("is not asked again where the outcome is unknown and a repeat may do more", async () => {
    const { proxy, joe } = await joeBehind(always(BUSY));
    const error = await joe.rpc.redriveDeadLetters({ agent: "jack" }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(BusRefusal);
    expect(error).toMatchObject({ code: "unavailable", message: "BUSY: too many calls" });
    expect(proxy.calls).toHaveLength(1);
  });
});

describe("a refusal", () => {
  test("is not asked for again", async () => {
    const { proxy, joe } = await joeBehind();
    await expect(joe.rpc.getMessage({ agent: "joe", messageId: "nonsense" })).rejects.toMatchObject({
      name: "BusRefusal",
      code: "not_found",
      reason: "UNKNOWN_MESSAGE",
    });
    await expect(joe.rpc.pullInbox({ agent: "No Name" })).rejects.toMatchObject({
      reason: "INVALID_FIELD",
      violations: [{ field: "agent" }],
    });
    expect(proxy.calls).toHaveLength(2);
  });

  test("for a full inbox is not asked for again, though its code is that of a rate limit", async () => {
    const small = await startBus({ maxInbox: "1" });
    const proxy = await startFailingProxy(small.port);
    const joe = clientFor(proxy);
    await joe.send({ to: "jack", body: "x" });
    await expect(joe.send({ to: "jack", body: "x" })).rejects.toMatchObject({ reason: "INBOX_FULL" });
    expect(proxy.calls).toHaveLength(2);
  });
});

describe("a rate limit", () => {
  test("that ends soon is waited for", async () => {
    const joe = clientFor(await startBus({ rateLimit: "1/s" }));
    const began = performance.now();
    await joe.send({ to: "jack", body: "one" });
    expect(await joe.send({ to: "jack", body: "two" })).toMatchObject({ status: "sent" });
    expect(await joe.rpc.send({ sender: "joe", recipient: "jack", body: "three" })).toMatchObject({
      deduplicated: false,
    });
    expect(performance.now() - began).toBeGreaterThan(1900);
  });

  test("that ends late is thrown at once, and says when", async () => {
    const joe = clientFor(await startBus({ rateLimit: "1/min" }));
    await joe.send({ to: "jack", body: "one" });
    const began = performance.now();
    const refusals = await Promise.all([
      joe.send({ to: "jack", body: "two" }).catch((error) => error),
      joe.rpc.send({ sender: "joe", recipient: "jack", body: "three" }).catch((error) => error),
    ]);
    expect(performance.now() - began).toBeLessThan(5000);
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({ name: "BusRefusal", code: "resource_exhausted", reason: "RATE_LIMITED" });
      expect(refusal.retryAfterMs).toBeGreaterThan(30_000);
      expect(refusal.retryAfterMs).toBeLessThanOrEqual(60_000);
    }
  });
});

describe("what no bus could store as it is", () => {
  test("is refused before it is sent, and the field is named", async () => {
    const { proxy, joe } = await joeBehind();
    const half = "\ud83d";
    for (const [call, field] of [
      [() => joe.send({ to: "jack", body: `x${half}` }), "body"],
      [() => joe.rpc.send({ sender: half, recipient: "jack" }), "from"],
      [() => joe.rpc.ack({ agent: "jack", messageIds: ["a", half] }), "messageIds[1]"],
      [() => joe.rpc.sendBatch({ requests: [{ sender: "joe", recipient: half }] }), "requests[0].to"],
    ] as const) {
      await expect(call()).rejects.toMatchObject({ reason: "INVALID_FIELD", violations: [{ field }] });
    }
    await expect(joe.rpc.pullInbox({ agent: "jack", leaseSeconds: 1.5 })).rejects.toMatchObject({
      reason: "INVALID_FIELD",
      message: expect.stringContaining("lease_seconds"),
    });
    expect(proxy.calls).toEqual([]);
  });
});
