/** GET /metrics on the wire: who may see it, and that every number rises by exactly what was done, once. */
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import Database from "better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { startBus, type TestBus } from "../start-bus.ts";
import { tokenOf } from "./bus-tokens.ts";
import { clientsInEveryProtocol } from "./every-protocol.ts";
import { overHttp1, overHttp2 } from "./http-calls.ts";
import { connectError } from "./rpc-forms.ts";
import { type Scrape, scrape } from "./scrape.ts";

/** The bus reads its store for /metrics once in five seconds. */
const PATIENT = { timeout: 20_000 };

/** By how much each sample rose, of those that did. */
function rises(before: Scrape, after: Scrape, names: RegExp): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [sample, value] of after.samples) {
    const rise = value - (before.samples.get(sample) ?? 0);
    if (names.test(sample) && rise !== 0) found[sample] = rise;
  }
  return found;
}

const REQUESTS = /^agentbus_requests_total/;
const FACTS = /^agentbus_(messages_\w+|redeliveries|dead_letters|bounces)_total/;

const get = (bus: TestBus, headers: Record<string, string> = {}, method = "GET") =>
  fetch(`${bus.url}/metrics`, { method, headers });

describe("GET /metrics", () => {
  test("is text in Prometheus' format, over both versions of HTTP", async () => {
    const bus = await startBus();
    for (const over of [overHttp1(bus.port), overHttp2(bus.port)]) {
      const reply = await over({ path: "/metrics", method: "GET" });
      expect(reply.status).toBe(200);
      expect(reply.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
      const lines = reply.body.toString().trimEnd().split("\n");
      const sample = /^[a-z_0-9]+(\{([a-z_]+="[^"\\\n]*",?)+\})? (-?[\d.]+(e[+-]?\d+)?|\+Inf|NaN)$/i;
      expect(lines.filter((line) => line !== "" && !/^# (HELP|TYPE) /.test(line) && !sample.test(line))).toEqual([]);
    }
    const { kinds } = await scrape(bus);
    expect(kinds.get("agentbus_requests_total")).toBe("counter");
    expect(kinds.get("process_resident_memory_bytes")).toBe("gauge");
    const head = await get(bus, {}, "HEAD");
    expect([head.status, await head.text()]).toEqual([200, ""]);
    const post = await get(bus, {}, "POST");
    expect([post.status, post.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  test("is for the shared token and admins; an agent's token is told so, none and a wrong one are not let in", async () => {
    const bus = await startBus({ token: "shared" });
    const told = async (headers: Record<string, string>) => {
      const response = await get(bus, headers);
      const text = await response.text();
      return [response.status, response.ok ? "" : connectError(text).message.split(":")[0]];
    };
    expect(await told({ "x-bus-token": "shared" })).toEqual([200, ""]);
    expect(await told({ authorization: "Bearer shared" })).toEqual([200, ""]);
    expect(await told(tokenOf(bus, undefined))).toEqual([200, ""]);
    expect(await told(tokenOf(bus, "jack"))).toEqual([403, "ADMIN_ONLY"]);
    expect(await told({})).toEqual([401, "TOKEN_MISSING"]);
    expect(await told({ "x-bus-token": "wrong" })).toEqual([401, "TOKEN_INVALID"]);
  });

  test("without any token is for this machine alone, as everything else is", async () => {
    const bus = await startBus();
    const reply = await overHttp1(bus.port)({ path: "/metrics", method: "GET", headers: { host: "bus.example.org" } });
    expect([reply.status, connectError(reply.body.toString()).message]).toEqual([
      403,
      expect.stringMatching(/^FOREIGN_ORIGIN: /),
    ]);
  });

  test("is answered when the bus has no room for a further call", async () => {
    const bus = await startBus({ maxCalls: "1" });
    const other = new Database(`${bus.folder}/bus.db`);
    onTestFinished(() => void other.close());
    // Holds up every write, as a slow disk does.
    other.exec("begin immediate");
    const held = bus.call("Send", { from: "joe", to: "jack" });
    await expect.poll(async () => (await bus.call("ListAgents", {})).status, PATIENT).toBe(503);
    expect((await get(bus)).status).toBe(200);
    other.exec("rollback");
    expect((await held).status).toBe(200);
  });
});

describe("requests", () => {
  test("count once each, by RPC and Connect code, whoever refused them", async () => {
    const bus = await startBus({ token: "shared" });
    const json = { "content-type": "application/json", "x-bus-token": "shared" };
    const before = await scrape(bus, "shared");
    await bus.ok("Send", { from: "joe", to: "jack" });
    await bus.ok("Send", { from: "joe", to: "jack" });
    await bus.call("Send", { from: "joe", to: "" });
    await bus.call("Send", { from: "joe", misspelled: 1 });
    await bus.call("Send", { from: "joe", to: "jack" }, { "x-bus-token": "wrong" });
    await bus.call("Send", { from: "joe", to: "jack" }, tokenOf(bus, "jill"));
    await bus.call("GetMessage", { agent: "joe", messageId: "none" });
    const path = `${bus.url}/agentbus.v1.MessageBus`;
    await fetch(`${path}/Ack`, { method: "POST", headers: json, body: "{" });
    await fetch(`${path}/Ack`, { method: "PUT", headers: json, body: "{}" });
    await fetch(`${path}/Ack`, { method: "POST", headers: { ...json, "content-type": "text/csv" }, body: "{}" });
    await fetch(`${path}/Broadcast`, { method: "POST", headers: json, body: `{"x":"${"x".repeat(5_000_000)}"}` });
    await fetch(`${path}/Nothing`, { method: "POST", headers: json, body: "{}" });
    await fetch(`${bus.url}/healthz`);
    expect(rises(before, await scrape(bus, "shared"), REQUESTS)).toEqual({
      'agentbus_requests_total{code="ok",rpc="Send"}': 2,
      'agentbus_requests_total{code="invalid_argument",rpc="Send"}': 2,
      'agentbus_requests_total{code="unauthenticated",rpc="Send"}': 1,
      'agentbus_requests_total{code="permission_denied",rpc="Send"}': 1,
      'agentbus_requests_total{code="not_found",rpc="GetMessage"}': 1,
      'agentbus_requests_total{code="invalid_argument",rpc="Ack"}': 1,
      'agentbus_requests_total{code="unimplemented",rpc="Ack"}': 2,
      'agentbus_requests_total{code="resource_exhausted",rpc="Broadcast"}': 1,
    });
  });

  test("of callers who hung up before they were refused are no errors of the bus", async () => {
    const bus = await startBus();
    const before = await scrape(bus);
    // No JSON, and long to unpack: they are gone by then.
    const body = gzipSync(Buffer.alloc(3_000_000, "x"));
    const headers = { "content-type": "application/json", "content-encoding": "gzip" };
    const path = "/agentbus.v1.MessageBus/Send";
    for (let n = 0; n < 20; n++) {
      const request = http.request({ port: bus.port, host: "127.0.0.1", path, method: "POST", headers, agent: false });
      request.on("error", () => undefined);
      request.end(body, () => request.destroy());
    }
    const counted = async () => rises(before, await scrape(bus), REQUESTS);
    const sum = async () => Object.values(await counted()).reduce((sum, count) => sum + count, 0);
    await expect.poll(sum, PATIENT).toBe(20);
    expect(await counted()).not.toHaveProperty(['agentbus_requests_total{code="internal",rpc="Send"}']);
  });

  test("count alike in every protocol", async () => {
    const bus = await startBus();
    for (const [protocol, client] of Object.entries(clientsInEveryProtocol(bus))) {
      const before = await scrape(bus);
      await client.registerAgent({ agent: "jack" });
      await expect(client.getMessage({ agent: "jack", messageId: "none" })).rejects.toThrow("UNKNOWN_MESSAGE");
      await expect(client.registerAgent({ agent: "" })).rejects.toThrow("INVALID_FIELD");
      expect(rises(before, await scrape(bus), REQUESTS), protocol).toEqual({
        'agentbus_requests_total{code="ok",rpc="RegisterAgent"}': 1,
        'agentbus_requests_total{code="invalid_argument",rpc="RegisterAgent"}': 1,
        'agentbus_requests_total{code="not_found",rpc="GetMessage"}': 1,
      });
    }
  });

  test("of the plain-HTTP pair count under their paths, whatever agent they name", async () => {
    const bus = await startBus();
    const before = await scrape(bus);
    await fetch(`${bus.url}/api/send`, { method: "POST", body: '{"from":"joe","to":"jack"}' });
    await fetch(`${bus.url}/api/send`, { method: "POST", body: "{" });
    await fetch(`${bus.url}/api/send`);
    for (const name of ["jack?mark_read=true", "jill", "%ff"])
      await (await fetch(`${bus.url}/api/inbox/${name}`)).text();
    await expect
      .poll(async () => rises(before, await scrape(bus), REQUESTS), PATIENT)
      .toEqual({
        'agentbus_requests_total{code="ok",rpc="/api/send"}': 1,
        'agentbus_requests_total{code="invalid_argument",rpc="/api/send"}': 1,
        'agentbus_requests_total{code="unimplemented",rpc="/api/send"}': 1,
        'agentbus_requests_total{code="ok",rpc="/api/inbox"}': 2,
        'agentbus_requests_total{code="invalid_argument",rpc="/api/inbox"}': 1,
      });
  });

  test("take the time of their work; what a pull waits is told apart, and who waits now", async () => {
    const bus = await startBus();
    await bus.ok("RegisterAgent", { agent: "jack" });
    const before = await scrape(bus);
    const waiting = bus.ok("PullInbox", { agent: "jack", waitSeconds: 30 });
    const compat = fetch(`${bus.url}/api/inbox/jack?wait_seconds=30`);
    const waiters = async () => (await scrape(bus)).value("agentbus_waiting_pulls");
    await expect.poll(waiters, PATIENT).toBe(2);
    await sleep(1200);
    await bus.ok("Send", { from: "joe", to: "jack" });
    await waiting;
    await (await compat).text();
    await bus.ok("PullInbox", { agent: "jack", waitSeconds: 30 });
    expect(await waiters()).toBe(0);
    const after = await scrape(bus);
    const rise = (sample: string) => after.value(sample) - before.value(sample);
    expect(rise('agentbus_request_duration_seconds_count{rpc="PullInbox"}')).toBe(2);
    expect(rise('agentbus_request_duration_seconds_count{rpc="/api/inbox"}')).toBe(1);
    expect(rise('agentbus_request_duration_seconds_count{rpc="Send"}')).toBe(1);
    // What found mail at once did not wait.
    expect(rise("agentbus_pull_wait_seconds_count")).toBe(2);
    const waited = rise("agentbus_pull_wait_seconds_sum");
    expect(waited).toBeGreaterThan(2 * 1.2 - 0.1);
    const worked =
      rise('agentbus_request_duration_seconds_sum{rpc="PullInbox"}') +
      rise('agentbus_request_duration_seconds_sum{rpc="/api/inbox"}');
    expect(worked).toBeGreaterThan(0);
    expect(worked).toBeLessThan(waited / 2);
  });
});

describe("what becomes of mail", () => {
  test("counts once each: stored, repeated, refused, redelivered, dead, bounced", async () => {
    const bus = await startBus({ rateLimit: "4/hour", maxAttempts: "2" });
    const before = await scrape(bus);
    const rise = async () => rises(before, await scrape(bus), FACTS);
    await bus.ok("RegisterAgent", { agent: "jack" });
    const first = { from: "joe", to: "jack", requestId: "r" };
    await bus.ok("Send", first);
    await bus.ok("Send", first);
    await bus.ok("Send", { from: "joe", to: "jill", ttlSeconds: 1 });
    const item = { from: "joe", to: "jane" };
    await bus.ok("SendBatch", { requests: [item, { ...item, to: "" }, item, item, item] });
    const sent = {
      agentbus_messages_stored_total: 4,
      agentbus_messages_repeated_total: 1,
      'agentbus_messages_refused_total{reason="RATE_LIMITED"}': 2,
    };
    expect(rises(before, await scrape(bus), /^agentbus_messages_/)).toEqual(sent);
    for (const attempt of [1, 2]) {
      const { messages } = await bus.ok("PullInbox", { agent: "jack", leaseSeconds: 1, waitSeconds: 20 });
      expect(messages.map(({ deliveryAttempt }: { deliveryAttempt: number }) => deliveryAttempt)).toEqual([attempt]);
    }
    await expect.poll(rise, PATIENT).toEqual({
      ...sent,
      agentbus_redeliveries_total: 1,
      'agentbus_dead_letters_total{reason="ATTEMPTS_EXHAUSTED"}': 1,
      'agentbus_dead_letters_total{reason="EXPIRED"}': 1,
      agentbus_bounces_total: 2,
    });
    await bus.ok("RemoveAgent", { agent: "joe", force: true });
    expect(await rise()).toMatchObject({
      // Both bounces, which bounce not.
      'agentbus_dead_letters_total{reason="RECIPIENT_REMOVED"}': 2,
      agentbus_bounces_total: 2,
    });
  });

  test("counts the transactions, what they gathered and how long they took", async () => {
    const bus = await startBus();
    const before = await scrape(bus);
    await Promise.all(Array.from({ length: 50 }, (_, n) => bus.ok("Send", { from: `joe-${n}`, to: "jack" })));
    const after = await scrape(bus);
    const rise = (sample: string) => after.value(sample) - before.value(sample);
    const commits = rise('agentbus_commits_total{outcome="ok"}');
    expect(commits).toBeGreaterThan(0);
    expect(rise("agentbus_commit_writes_count")).toBe(commits);
    expect(rise("agentbus_commit_duration_seconds_count")).toBe(commits);
    expect(rise("agentbus_commit_duration_seconds_sum")).toBeGreaterThan(0);
    // Fifty Sends, and perhaps a chore or two of the bus's own.
    expect(rise("agentbus_commit_writes_sum")).toBeGreaterThanOrEqual(50);
    expect(rise("agentbus_commit_writes_sum")).toBeLessThan(60);
    expect(after.value('agentbus_commits_total{outcome="failed"}')).toBe(0);
  });

  test("counts a transaction that failed as that, and nothing of it as done", async () => {
    const bus = await startBus();
    const before = await scrape(bus);
    const other = new Database(`${bus.folder}/bus.db`);
    onTestFinished(() => void other.close());
    // For longer than the store waits for a lock.
    other.exec("begin immediate");
    const { status } = await bus.call("Send", { from: "joe", to: "jack" });
    other.exec("rollback");
    const after = await scrape(bus);
    const rise = (sample: string) => after.value(sample) - before.value(sample);
    expect(status).toBe(503);
    expect(rise('agentbus_commits_total{outcome="failed"}')).toBeGreaterThanOrEqual(1);
    expect(rise("agentbus_messages_stored_total")).toBe(0);
    expect(after.value('agentbus_requests_total{code="unavailable",rpc="Send"}')).toBe(1);
  });
});

test("a bus under load is scraped all the while, and no count goes down or is lost", async () => {
  const bus = await startBus();
  const STORED = "agentbus_messages_stored_total";
  let sent = 0;
  let done = false;
  const load = Array.from({ length: 8 }, async (_, n) => {
    while (!done) {
      await bus.ok("Send", { from: `joe-${n}`, to: "jack" });
      sent++;
    }
  });
  let before = 0;
  for (let round = 0; round < 10; round++) {
    const answered = sent;
    // Two at once, as two Prometheus servers may come.
    const counts = (await Promise.all([scrape(bus), scrape(bus)])).map((one) => one.value(STORED));
    for (const count of counts) expect(count).toBeGreaterThanOrEqual(Math.max(before, answered));
    before = Math.min(...counts);
    await sleep(10);
  }
  done = true;
  await Promise.all(load);
  expect(before).toBeGreaterThan(0);
  const last = await scrape(bus);
  expect(last.value(STORED)).toBe(sent);
  expect(last.value('agentbus_requests_total{code="ok",rpc="Send"}')).toBe(sent);
  expect(last.value('agentbus_request_duration_seconds_count{rpc="Send"}')).toBe(sent);
});
