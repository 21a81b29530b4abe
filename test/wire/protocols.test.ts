/**
 * Every protocol on the one port, by generated clients and by tools that no one here wrote: the same call means the same
 * in all of them.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  compressionBrotli,
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
} from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { MessageBus, PullInboxRequestSchema, SendRequestSchema } from "#gen/agentbus/v1/message_bus_pb.js";
import { DeliveryState } from "#gen/agentbus/v1/message_pb.js";
import { spawnBus, startBus } from "../start-bus.ts";
import { clientsInEveryProtocol } from "./every-protocol.ts";
import { overHttp1, overHttp2 } from "./http-calls.ts";
import { callIn, framedCall, refusedIn } from "./rpc-forms.ts";

/** For what comes in a moment, also on a busy machine. */
const PATIENT = { timeout: 10_000 };

const ROOT = new URL("../..", import.meta.url).pathname;
const TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/** Runs a tool; one that is not there fails the test with what to do. */
async function run(
  command: string,
  args: readonly string[],
  advice: string,
): Promise<{ stdout: string; failed: string }> {
  try {
    const { stdout } = await promisify(execFile)(command, args, { cwd: ROOT, timeout: 20_000 });
    return { stdout, failed: "" };
  } catch (error) {
    const { code, stdout = "", stderr = "" } = error as { code?: unknown; stdout?: string; stderr?: string };
    if (code === "ENOENT") throw new Error(`${command} is missing: ${advice}`);
    return { stdout, failed: `${stdout}${stderr}` || `exit ${code}` };
  }
}

const curl = (...args: string[]) => run("curl", ["-sS", ...args], "apt-get install curl");
const bufCurl = (...args: string[]) =>
  run(`${ROOT}/node_modules/.bin/buf`, ["curl", "--schema", "proto", ...args], "npm ci");

const JSON_TYPE = ["-H", "content-type: application/json"];

describe("generated clients", () => {
  test("send, lease, ack and read the receipt, alike in every protocol", async () => {
    const bus = await startBus();
    for (const [protocol, client] of Object.entries(clientsInEveryProtocol(bus))) {
      const text = `${protocol}: Grüße \u{1F600}`;
      const requestId = protocol.replaceAll(" ", "-");
      const sent = await client.send({ sender: "joe", recipient: "Jack", subject: protocol, body: text, requestId });
      expect(sent, protocol).toMatchObject({ deduplicated: false, recipientCount: 1 });
      const repeated = await client.send({
        sender: "joe",
        recipient: "jack",
        subject: protocol,
        body: text,
        requestId,
      });
      expect([repeated.id, repeated.deduplicated], protocol).toEqual([sent.id, true]);

      const pulled = await client.pullInbox({ agent: "jack", leaseSeconds: 60 });
      expect(pulled.messages, protocol).toHaveLength(1);
      expect(pulled.messages[0], protocol).toMatchObject({
        id: sent.id,
        sender: "joe",
        recipient: "jack",
        body: text,
        deliveryAttempt: 1,
      });
      expect(pulled.messages[0]?.timestamp, protocol).toEqual(sent.timestamp);
      const { leaseId = "" } = pulled;
      expect(await client.ack({ agent: "jack", messageIds: [sent.id, "x"], leaseId }), protocol).toMatchObject({
        ackedCount: 1,
        unknownMessageIds: ["x"],
        staleMessageIds: [],
      });
      const { receipts } = await client.getReceipt({ messageId: sent.id });
      expect(receipts[0], protocol).toMatchObject({ recipient: "jack", state: DeliveryState.READ, deliveryAttempt: 1 });
      expect(Math.abs(timestampDate(sent.timestamp as never).getTime() - Date.now()), protocol).toBeLessThan(60_000);
    }
  });

  test("may send bodies of the largest size, whatever is in them", async () => {
    const bus = await startBus({ rateLimit: "off" });
    for (const [protocol, client] of Object.entries(clientsInEveryProtocol(bus))) {
      // Whoever counts a request's fields must not take a text for some: these bytes would be many.
      for (const letter of ["x", "\u0001", "\n", "\b\u0001", ","]) {
        const body = letter.repeat(256 * 1024).slice(0, 256 * 1024);
        await client.send({ sender: "joe", recipient: "jack", body });
        const { messages } = await client.pullInbox({ agent: "jack", markRead: true });
        expect(messages[0]?.body === body, `${protocol}, ${JSON.stringify(letter)}`).toBe(true);
      }
    }
  });

  test("may compress what they send and be answered compressed", async () => {
    const bus = await startBus();
    const body = "as good as gold; ".repeat(10_000);
    for (const compression of [compressionGzip, compressionBrotli]) {
      const compressed = { sendCompression: compression, acceptCompression: [compression], compressMinBytes: 0 };
      const transports = {
        "Connect JSON": createConnectTransport({
          baseUrl: bus.url,
          httpVersion: "1.1",
          useBinaryFormat: false,
          ...compressed,
        }),
        Connect: createConnectTransport({ baseUrl: bus.url, httpVersion: "1.1", ...compressed }),
        gRPC: createGrpcTransport({ baseUrl: bus.url, ...compressed }),
      };
      for (const [protocol, transport] of Object.entries(transports)) {
        const client = createClient(MessageBus, transport);
        await client.send({ sender: "joe", recipient: "jack", body });
        const { messages } = await client.pullInbox({ agent: "jack", markRead: true });
        expect(
          messages.map((message) => message.body),
          `${protocol}, ${compression.name}`,
        ).toEqual([body]);
      }
    }
    const packed = gzipSync(JSON.stringify({ from: "joe", to: "zip", body }));
    const reply = await overHttp1(bus.port)(
      callIn("connect json", "Send", packed, { "content-encoding": "gzip", "accept-encoding": "gzip" }),
    );
    expect(refusedIn(reply)).toBeUndefined();
    expect((await bus.ok("PullInbox", { agent: "zip" })).messages[0].body).toBe(body);
  });

  test("reach what has no side effects by GET", async () => {
    const bus = await spawnBus({ logLevel: "debug" });
    const { id } = await bus.ok("Send", { from: "joe", to: "jack", body: "to be got" });
    const transport = createConnectTransport({ baseUrl: bus.url, httpVersion: "1.1", useHttpGet: true });
    const client = createClient(MessageBus, transport);
    await client.listAgents({ query: "jo" });
    await client.getMessage({ agent: "jack", messageId: id });
    await client.getReceipt({ messageId: id });
    await client.listMessages({ agent: "jack" });
    await client.ack({ agent: "jack", messageIds: [id] });
    const called = () =>
      [...bus.log().matchAll(/"method":"(\w+)","path":"[^"]*\/(\w+)"/g)].map(([, verb, name]) => `${verb} ${name}`);
    await expect
      .poll(() => called().slice(1), PATIENT)
      .toEqual(["GET ListAgents", "GET GetMessage", "GET GetReceipt", "GET ListMessages", "POST Ack"]);

    const query = new URLSearchParams({ connect: "v1", encoding: "json", message: JSON.stringify({ query: "joe" }) });
    const plain = await fetch(`${bus.url}/agentbus.v1.MessageBus/ListAgents?${query}`);
    expect(((await plain.json()) as { agents: { name: string }[] }).agents.map(({ name }) => name)).toEqual(["joe"]);
  });
});

describe("tools that no one here wrote", () => {
  test("curl speaks JSON over HTTP/1.1 and over HTTP/2 with prior knowledge, with and without an upgrade", async () => {
    const bus = await startBus();
    for (const [version, ...flags] of [
      ["1.1"],
      ["2", "--http2-prior-knowledge"],
      ["1.1", "--http2"],
      ["1.0", "--http1.0"],
    ]) {
      const write = ["-w", "\n%{http_version} %{http_code}"];
      const mail = JSON.stringify({ from: "joe", to: "jack", subject: `curl ${flags}`, body: "…" });
      const url = `${bus.url}/agentbus.v1.MessageBus/Send`;
      const { stdout, failed } = await curl(...(flags as string[]), ...write, ...JSON_TYPE, "-d", mail, url);
      expect(failed).toBe("");
      const [json = "", status = ""] = stdout.split("\n");
      expect(status).toBe(`${version === "1.0" ? "1.1" : version} 200`);
      expect(JSON.parse(json)).toMatchObject({ id: expect.any(String), recipientCount: 1 });
      const health = await curl(...(flags as string[]), "-o", "/dev/null", ...write, `${bus.url}/healthz`);
      expect(health.stdout).toMatch(/ 200$/);
    }
    const { messages } = await bus.ok("PullInbox", { agent: "jack" });
    expect(messages).toHaveLength(4);
  });

  test("curl that announces a large body and waits for a word is told to go on, or at once that it is too large", async () => {
    const bus = await startBus();
    const url = `${bus.url}/api/send`;
    const expecting = (bytes: number) => [
      "-w",
      "%{http_code}",
      "-o",
      "/dev/null",
      "-H",
      "expect: 100-continue",
      "--expect100-timeout",
      "10",
      "--max-time",
      "15",
      "--data-binary",
      JSON.stringify({ from: "joe", to: "jack", body: "x".repeat(bytes) }),
      url,
    ];
    expect((await curl(...expecting(100_000))).stdout).toBe("200");
    const file = `${bus.folder}/large.json`;
    const { writeFileSync } = await import("node:fs");
    writeFileSync(file, "x".repeat(20 * 1024 * 1024));
    const large = await curl(
      "-w",
      "%{http_code}",
      "-o",
      "/dev/null",
      "--max-time",
      "15",
      "--data-binary",
      `@${file}`,
      url,
    );
    expect(large.stdout).toBe("429");
  });

  test("buf's client, written in Go, speaks Connect, gRPC and gRPC-Web over both versions of HTTP", async () => {
    const token = "bar-token";
    const bus = await startBus({ token });
    const send = `${bus.url}/agentbus.v1.MessageBus/Send`;
    const pull = `${bus.url}/agentbus.v1.MessageBus/PullInbox`;
    const header = ["-H", `X-Bus-Token: ${token}`];
    const kinds = [
      ["connect"],
      ["connect", "--http2-prior-knowledge"],
      ["grpc", "--http2-prior-knowledge"],
      ["grpcweb"],
      ["grpcweb", "--http2-prior-knowledge"],
    ];
    for (const [protocol = "", ...flags] of kinds) {
      const mail = JSON.stringify({ from: "joe", to: "jack", subject: protocol, body: `hello ${protocol} ${flags}` });
      const sent = await bufCurl("--protocol", protocol, ...flags, ...header, "-d", mail, send);
      expect(sent.failed, `${protocol} ${flags}`).toBe("");
      expect(JSON.parse(sent.stdout), `${protocol} ${flags}`).toMatchObject({ id: expect.any(String) });
      const refused = await bufCurl("--protocol", protocol, ...flags, "-d", '{"agent":"jack"}', pull);
      expect(refused.failed, `${protocol} ${flags}`).toMatch(/unauthenticated[\s\S]*TOKEN_MISSING: /);
    }
    const pulled = await bufCurl(
      "--protocol",
      "grpc",
      "--http2-prior-knowledge",
      ...header,
      "-d",
      '{"agent":"jack"}',
      pull,
    );
    const bodies = JSON.parse(pulled.stdout).messages.map(({ body }: { body: string }) => body);
    expect(bodies).toEqual(kinds.map(([protocol, ...flags]) => `hello ${protocol} ${flags}`));
  }, 60_000);
});

describe("the bus's JSON", () => {
  test("writes what is empty, and leaves out only what may be absent", async () => {
    const bus = await startBus();
    const { id, timestamp, ...sent } = await bus.ok("Send", { from: "joe", to: "jack" });
    expect(sent).toEqual({
      deduplicated: false,
      recipientKnown: false,
      recipientCount: 1,
      notice: expect.stringContaining("jack"),
    });
    expect(timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/);
    const message = { id, from: "joe", to: "jack", subject: "", body: "", timestamp };
    expect(await bus.ok("PullInbox", { agent: "jack" })).toEqual({ messages: [message], hasMore: false });
    expect(await bus.ok("PullInbox", { agent: "nobody" })).toEqual({ messages: [], hasMore: false });
    expect(await bus.ok("GetMessage", { agent: "jack", messageId: id })).toEqual({
      message: { ...message, state: "DELIVERY_STATE_UNREAD" },
    });
    expect(await bus.ok("Ack", { agent: "jack", messageIds: [id] })).toEqual({
      ackedCount: 1,
      unknownMessageIds: [],
      staleMessageIds: [],
    });
    const { agents, nextPageToken } = await bus.ok("ListAgents", { query: "nobody" });
    expect(nextPageToken).toBe("");
    const { registeredTime, lastSeenTime, ...agent } = agents[0];
    expect(agent).toEqual({ name: "nobody", description: "", unreadCount: 0, deadCount: 0 });
    expect([registeredTime, lastSeenTime].every((time) => time.endsWith("Z"))).toBe(true);
    const batch = await bus.ok("SendBatch", {
      requests: [
        { from: "joe", to: "jack" },
        { from: "joe", to: "b a d" },
      ],
    });
    expect(batch.results[0].response).toMatchObject({ deduplicated: false, notice: "" });
    expect(batch.results[1]).toEqual({
      error: { code: "invalid_argument", reason: "INVALID_FIELD", message: expect.any(String), field: "to" },
    });
  });

  test("reads names in either spelling, numbers as text, and null as absent", async () => {
    const bus = await startBus();
    const reply = await overHttp1(bus.port)(
      callIn(
        "connect json",
        "Send",
        '{"sender":"joe","recipient":"jack","request_id":"k","ttlSeconds":"60","inReplyTo":null}',
      ),
    );
    expect(refusedIn(reply)).toBeUndefined();
    const { messages } = await bus.ok("PullInbox", { agent: "jack", max_messages: "1" });
    expect(messages[0]).toMatchObject({ from: "joe", to: "jack", expireTime: expect.any(String) });
    expect(messages[0]).not.toHaveProperty("inReplyTo");
    expect(messages[0]).not.toHaveProperty("requestId");
  });
});

describe("a caller's deadline", () => {
  const pull = (agent: string) =>
    toBinary(PullInboxRequestSchema, create(PullInboxRequestSchema, { agent, waitSeconds: 20 }));

  test("ends a long poll half a second before, with an empty answer, in every protocol", async () => {
    const bus = await startBus();
    const http1 = overHttp1(bus.port);
    const http2 = overHttp2(bus.port);
    const json = (agent: string) => JSON.stringify({ agent, waitSeconds: 20 });
    const polls = {
      "connect-timeout-ms, JSON": () =>
        http1(callIn("connect json", "PullInbox", json("a1"), { "connect-timeout-ms": "1500" })),
      "connect-timeout-ms, binary": () =>
        http2(callIn("connect proto", "PullInbox", pull("a2"), { "connect-timeout-ms": "1500" })),
      "grpc-timeout in milliseconds": () =>
        http2(framedCall("grpc", "PullInbox", pull("a3"), { "grpc-timeout": "1500m" })),
      "grpc-timeout in microseconds": () =>
        http2(framedCall("grpc", "PullInbox", pull("a4"), { "grpc-timeout": "1500000u" })),
      "grpc-timeout in gRPC-Web": () =>
        http1(framedCall("grpc-web", "PullInbox", pull("a5"), { "grpc-timeout": "1500000u" })),
    };
    await Promise.all(
      Object.entries(polls).map(async ([what, poll]) => {
        const began = performance.now();
        const reply = await poll();
        const took = performance.now() - began;
        expect(refusedIn(reply), what).toBeUndefined();
        expect(took, what).toBeGreaterThan(900);
        expect(took, what).toBeLessThan(1500);
      }),
    );
    const [protocol = "", client] = Object.entries(clientsInEveryProtocol(bus)).find(([name]) => name === "gRPC") ?? [];
    const answer = await client?.pullInbox({ agent: "a6", waitSeconds: 20 }, { timeoutMs: 1500 });
    expect(answer?.messages, protocol).toEqual([]);
  });

  test("that is nearer than half a second makes a long poll a look, and one weeks away does not end it at once", async () => {
    const bus = await startBus();
    const http1 = overHttp1(bus.port);
    const http2 = overHttp2(bus.port);
    const json = (agent: string, waitSeconds: number) => JSON.stringify({ agent, waitSeconds });
    const took = async (call: Promise<{ status: number }>) => {
      const began = performance.now();
      expect((await call).status).toBe(200);
      return performance.now() - began;
    };
    expect(
      await took(http1(callIn("connect json", "PullInbox", json("b1", 20), { "connect-timeout-ms": "400" }))),
    ).toBeLessThan(400);

    const far = toBinary(PullInboxRequestSchema, create(PullInboxRequestSchema, { agent: "b2", waitSeconds: 1 }));
    const deadlines: Promise<number>[] = [
      took(http1(callIn("connect json", "PullInbox", json("b3", 1), { "connect-timeout-ms": "9999999999" }))),
      took(http1(callIn("connect json", "PullInbox", json("b4", 1), { "connect-timeout-ms": "2147483648" }))),
      ...["99999999H", "99999999M", "99999999S", "99999999m"].map((timeout) =>
        took(
          http2(framedCall("grpc", "PullInbox", far, { "grpc-timeout": timeout })).then((reply) => {
            expect(refusedIn(reply), timeout).toBeUndefined();
            return reply;
          }),
        ),
      ),
    ];
    for (const ms of await Promise.all(deadlines)) expect(ms).toBeGreaterThan(900);
  });

  test("that has passed is told as such, and a time-out that is none is refused", async () => {
    const bus = await startBus();
    for (const [protocol, client] of Object.entries(clientsInEveryProtocol(bus))) {
      const pulled = client.pullInbox({ agent: "c", waitSeconds: 5 }, { timeoutMs: 1 });
      expect(ConnectError.from(await pulled.catch((error: unknown) => error)).code, protocol).toBe(
        Code.DeadlineExceeded,
      );
    }
    for (const timeout of ["soon", "-1", "1.5", "99999999999"]) {
      const reply = await overHttp1(bus.port)(
        callIn("connect json", "PullInbox", '{"agent":"c"}', { "connect-timeout-ms": timeout }),
      );
      expect(refusedIn(reply)?.message, timeout).toMatch(/^INVALID_FIELD: .*timeout/);
    }
  });
});

describe("a trace", () => {
  test("goes on from the header into the message, unless the message has its own", async () => {
    const bus = await startBus();
    const own = TRACE.replace("-01", "-00");
    const traceOf = async (agent: string) =>
      (await bus.ok("PullInbox", { agent, markRead: true })).messages[0].traceparent;
    const headers = { traceparent: TRACE };
    await bus.call("Send", { from: "joe", to: "t1" }, headers);
    expect(await traceOf("t1")).toBe(TRACE);
    await bus.call("Send", { from: "joe", to: "t2", traceparent: own }, headers);
    expect(await traceOf("t2")).toBe(own);
    await bus.call("SendBatch", { requests: [{ from: "joe", to: "t3" }] }, headers);
    expect(await traceOf("t3")).toBe(TRACE);
    await bus.call("Broadcast", { from: "joe" }, headers);
    expect(await traceOf("t1")).toBe(TRACE);
    const message = toBinary(SendRequestSchema, create(SendRequestSchema, { sender: "joe", recipient: "t4" }));
    expect(refusedIn(await overHttp2(bus.port)(framedCall("grpc", "Send", message, headers)))).toBeUndefined();
    expect(await traceOf("t4")).toBe(TRACE);
    await fetch(`${bus.url}/api/send`, { method: "POST", headers, body: '{"from":"joe","to":"t5"}' });
    expect(await traceOf("t5")).toBe(TRACE);
    for (const bad of ["", "x", `${TRACE}0`, TRACE.toUpperCase(), `${TRACE}, ${TRACE}`]) {
      await bus.call("Send", { from: "joe", to: "t6" }, { traceparent: bad });
      expect(await traceOf("t6"), bad).toBeUndefined();
    }
  });
});
