/**
 * Every reason of the error table, made to happen on a real bus and read back in every protocol: its code, its status, its
 * typed details, and a message that begins with the reason.
 */

import http from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type DescMethodUnary, fromJson, type JsonValue, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import Database from "better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { BusError, type Reason } from "#dist/errors.js";
import { codes, toConnectError } from "#dist/server/error-codes.js";
import { openTokenBook } from "#dist/store/token-book.js";
import { MessageBus } from "#gen/agentbus/v1/message_bus_pb.js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  QuotaFailureSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "#gen/google/rpc/error_details_pb.js";
import { type Flags, spawnBus, startBus, type TestBus } from "../start-bus.ts";
import { clientsInEveryProtocol, type MessageBusClient } from "./every-protocol.ts";
import { overHttp1, overHttp2 } from "./http-calls.ts";
import { answersTo } from "./raw-socket.ts";
import { callIn, connectError } from "./rpc-forms.ts";

/** For what comes in a moment, also on a busy machine. */
const PATIENT = { timeout: 10_000 };

const MIB = 1024 * 1024;
const UNKNOWN_ID = "01a20456-542c-74ab-966b-1e5638b78735";

type Method = keyof typeof MessageBus.method;

/** How a reason is made to happen, and what stands in its details besides the reason. */
interface Provocation {
  readonly status: number;
  readonly code: Code;
  readonly method: Method;
  /** The request that is refused, each time anew. */
  readonly request: (bus: TestBus) => JsonValue | Promise<JsonValue>;
  readonly flags?: Flags;
  readonly prepare?: (bus: TestBus) => Promise<unknown>;
  readonly headers?: (bus: TestBus) => Record<string, string>;
  /** A field that BadRequest names. */
  readonly field?: string;
  readonly resource?: { readonly resourceType: string; readonly resourceName: string };
  /** Who QuotaFailure names. */
  readonly quota?: string;
  /** Seconds that RetryInfo may ask for. */
  readonly retry?: readonly [min: number, max: number];
  /** Words of advice in the message. */
  readonly says: RegExp;
}

const joeToJack = { from: "joe", to: "jack" };

/** An agent token, made on the bus's host while it serves. */
function tokenOf(bus: TestBus, agent: string): Record<string, string> {
  const book = openTokenBook(`sqlite:${bus.folder}/bus.db`);
  try {
    return { "x-bus-token": book.create(agent).token };
  } finally {
    book.close();
  }
}

const provocations: Partial<Record<Reason, Provocation>> = {
  INVALID_FIELD: {
    status: 400,
    code: Code.InvalidArgument,
    method: "pullInbox",
    request: () => ({ agent: "joe", leaseSeconds: 43_201 }),
    field: "leaseSeconds",
    says: /leaseSeconds must be 0-43200, not 43201/,
  },
  BODY_TOO_LARGE: {
    status: 400,
    code: Code.InvalidArgument,
    method: "send",
    flags: { maxBodyBytes: "9" },
    request: () => ({ ...joeToJack, body: "üüüüü" }),
    field: "body",
    says: /body must be at most 9 bytes .* not 10/,
  },
  TOKEN_MISSING: {
    status: 401,
    code: Code.Unauthenticated,
    method: "send",
    flags: { token: "right" },
    headers: () => ({ "x-bus-token": "" }),
    request: () => joeToJack,
    says: /X-Bus-Token/,
  },
  TOKEN_INVALID: {
    status: 401,
    code: Code.Unauthenticated,
    method: "send",
    flags: { token: "right" },
    headers: () => ({ "x-bus-token": "wrong" }),
    request: () => joeToJack,
    says: /token/,
  },
  NOT_YOUR_NAME: {
    status: 403,
    code: Code.PermissionDenied,
    method: "send",
    flags: { token: "right" },
    headers: (bus) => tokenOf(bus, "jim"),
    request: () => joeToJack,
    says: /jim/,
  },
  NOT_YOUR_INBOX: {
    status: 403,
    code: Code.PermissionDenied,
    method: "pullInbox",
    flags: { token: "right" },
    headers: (bus) => tokenOf(bus, "jim"),
    request: () => ({ agent: "joe" }),
    says: /jim/,
  },
  ADMIN_ONLY: {
    status: 403,
    code: Code.PermissionDenied,
    method: "removeAgent",
    flags: { token: "right" },
    headers: (bus) => tokenOf(bus, "jim"),
    request: () => ({ agent: "jim" }),
    says: /admin/,
  },
  FOREIGN_ORIGIN: {
    status: 403,
    code: Code.PermissionDenied,
    method: "listAgents",
    headers: () => ({ origin: "https://evil.example" }),
    request: () => ({}),
    says: /evil\.example/,
  },
  UNKNOWN_AGENT: {
    status: 404,
    code: Code.NotFound,
    method: "send",
    flags: { unknownRecipients: "reject" },
    prepare: (bus) => bus.ok("RegisterAgent", { agent: "jack" }),
    request: () => ({ from: "joe", to: "jakc" }),
    resource: { resourceType: "agent", resourceName: "jakc" },
    says: /jakc.*jack/,
  },
  UNKNOWN_MESSAGE: {
    status: 404,
    code: Code.NotFound,
    method: "getMessage",
    request: () => ({ agent: "joe", messageId: UNKNOWN_ID }),
    resource: { resourceType: "message", resourceName: UNKNOWN_ID },
    says: new RegExp(UNKNOWN_ID),
  },
  REQUEST_ID_REUSED: {
    status: 409,
    code: Code.AlreadyExists,
    method: "send",
    prepare: (bus) => bus.ok("Send", { ...joeToJack, body: "one", requestId: "key-1" }),
    request: () => ({ ...joeToJack, body: "two", requestId: "key-1" }),
    says: /key-1/,
  },
  RATE_LIMITED: {
    status: 429,
    code: Code.ResourceExhausted,
    method: "send",
    flags: { rateLimit: "1/min" },
    prepare: (bus) => bus.ok("Send", joeToJack),
    request: () => joeToJack,
    quota: "joe",
    retry: [50, 60],
    says: /1 in 60 s/,
  },
  INBOX_FULL: {
    status: 429,
    code: Code.ResourceExhausted,
    method: "send",
    flags: { maxInbox: "1" },
    prepare: (bus) => bus.ok("Send", joeToJack),
    request: () => joeToJack,
    says: /jack/,
  },
  REQUEST_TOO_LARGE: {
    status: 429,
    code: Code.ResourceExhausted,
    method: "send",
    request: () => ({ ...joeToJack, body: "x".repeat(4 * MIB) }),
    says: /4194304/,
  },
  TOO_MANY_HOPS: {
    status: 400,
    code: Code.FailedPrecondition,
    method: "send",
    flags: { maxHops: "1" },
    request: async (bus) => {
      const first = await bus.ok("Send", joeToJack);
      const reply = await bus.ok("Send", { from: "jack", to: "joe", inReplyTo: first.id });
      return { ...joeToJack, inReplyTo: reply.id };
    },
    says: /1/,
  },
  INBOX_NOT_EMPTY: {
    status: 400,
    code: Code.FailedPrecondition,
    method: "removeAgent",
    prepare: async (bus) => {
      await bus.ok("RegisterAgent", { agent: "jack" });
      await bus.ok("Send", joeToJack);
    },
    request: () => ({ agent: "jack" }),
    says: /force/,
  },
  STALE_LEASE: {
    status: 400,
    code: Code.FailedPrecondition,
    method: "modifyLease",
    request: () => ({ agent: "jack", leaseId: "none", leaseSeconds: 60 }),
    says: /none/,
  },
};

async function refusalOf(client: MessageBusClient, method: Method, request: JsonValue): Promise<ConnectError> {
  const { input } = MessageBus.method[method] as DescMethodUnary;
  const call = client[method] as (request: MessageShape<typeof input>) => Promise<unknown>;
  const outcome = await call(fromJson(input, request)).catch((error: unknown) => error);
  if (!(outcome instanceof ConnectError)) throw new Error(`${method} was not refused: ${JSON.stringify(outcome)}`);
  return outcome;
}

function expectReason(error: ConnectError, reason: Reason, code: Code, what: string): void {
  expect(Code[error.code], what).toBe(Code[code]);
  expect(error.rawMessage, what).toMatch(new RegExp(`^${reason}: \\S`));
  expect(error.findDetails(ErrorInfoSchema), what).toEqual([expect.objectContaining({ reason, domain: "agentbus" })]);
}

function expectDetails(error: ConnectError, expected: Provocation, what: string): void {
  const { field, resource, quota, retry } = expected;
  const violations = error.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
  expect(
    violations.map((violation) => violation.field),
    what,
  ).toEqual(field === undefined ? [] : [field]);
  for (const violation of violations) expect(violation.description, what).not.toBe("");
  const resources = error.findDetails(ResourceInfoSchema);
  expect(resources, what).toEqual(resource === undefined ? [] : [expect.objectContaining(resource)]);
  const quotas = error.findDetails(QuotaFailureSchema).flatMap((detail) => detail.violations);
  expect(
    quotas.map(({ subject }) => subject.includes(quota ?? "?")),
    what,
  ).toEqual(quota === undefined ? [] : [true]);
  const delays = error.findDetails(RetryInfoSchema).map(({ retryDelay }) => Number(retryDelay?.seconds));
  expect(delays, what).toHaveLength(retry === undefined ? 0 : 1);
  for (const seconds of delays) {
    expect(seconds, what).toBeGreaterThanOrEqual(retry?.[0] ?? 0);
    expect(seconds, what).toBeLessThanOrEqual(retry?.[1] ?? 0);
    // In gRPC it comes in the trailers, in Connect as a header: the client joins them.
    const [after, most] = [Number(error.metadata.get("retry-after")), (retry?.[1] ?? 0) + 1];
    expect(after >= seconds && after <= most, `${what}: retry-after ${after}`).toBe(true);
  }
}

describe("a reason of the table", () => {
  for (const [reason, expected] of Object.entries(provocations) as [Reason, Provocation][]) {
    test(`${reason} comes with its code, status and details in every protocol`, async () => {
      const { method, status, code, says } = expected;
      const bus = await startBus(expected.flags);
      await expected.prepare?.(bus);
      const token = expected.flags?.token;
      const headers = { ...(token !== undefined && { "x-bus-token": token }), ...expected.headers?.(bus) };
      for (const [protocol, client] of Object.entries(clientsInEveryProtocol(bus, headers))) {
        const error = await refusalOf(client, method, await expected.request(bus));
        expectReason(error, reason, code, protocol);
        expectDetails(error, expected, protocol);
        expect(error.rawMessage, protocol).toMatch(says);
      }
      const name = MessageBus.method[method].name;
      const answer = await bus.call(name, (await expected.request(bus)) as object, headers);
      expect(answer.status).toBe(status);
      expect(answer.headers.get("content-type")).toBe("application/json");
      expect(answer.headers.has("retry-after")).toBe(expected.retry !== undefined);
      const body = connectError(JSON.stringify(answer.body));
      expect(body.message).toMatch(new RegExp(`^${reason}: `));
      expect(body.details.map(({ type }) => type)).toContain("google.rpc.ErrorInfo");
    });
  }

  test("BUSY, STORE_UNREACHABLE and an internal error come from a store that is held or broken, and tell nothing of it", async () => {
    const bus = await spawnBus({ maxCalls: "1" });
    await bus.ok("Send", joeToJack);
    const db = new Database(`${bus.folder}/bus.db`);
    onTestFinished(() => void db.close());
    db.exec("begin immediate");
    const clients = Object.entries(clientsInEveryProtocol(bus));
    const [[, first]] = clients as [(typeof clients)[0]];
    const stuck = refusalOf(first, "send", joeToJack);
    await sleep(300);
    for (const [protocol, client] of clients) {
      const error = await refusalOf(client, "send", joeToJack);
      expectReason(error, "BUSY", Code.Unavailable, protocol);
      expect(error.findDetails(RetryInfoSchema), protocol).toHaveLength(1);
      expect(error.metadata.get("retry-after"), protocol).toBe("1");
    }
    // A look reads beside whoever holds the file: what is held up is only writing.
    const error = await stuck;
    expectReason(error, "STORE_UNREACHABLE", Code.Unavailable, "a store that is held");
    expect(error.findDetails(RetryInfoSchema)).toHaveLength(1);
    expect(error.rawMessage).not.toMatch(/sqlite|database|\n/i);
    db.exec("rollback");
    await bus.ok("Send", joeToJack);

    db.exec("alter table messages rename to elsewhere");
    for (const [protocol, client] of clients) {
      const error = await refusalOf(client, "send", joeToJack);
      expect(Code[error.code], protocol).toBe("Internal");
      const [, id] = /^internal error ([0-9a-f-]{36});/.exec(error.rawMessage) ?? [];
      expect(error.rawMessage, protocol).not.toMatch(/sqlite|table|messages|\.js|\n/i);
      await expect.poll(() => bus.log(), { ...PATIENT, message: protocol }).toContain(`"id":"${id}"`);
    }
    const answer = await bus.call("Send", joeToJack);
    expect([answer.status, answer.body.code]).toEqual([500, "internal"]);
    db.exec("alter table elsewhere rename to messages");
    await bus.ok("Send", joeToJack);
  }, 60_000);

  test("whichever the bus throws, all of it arrives in every protocol", async () => {
    const violations = [{ field: "requests[3].to", description: "must be one agent, not ALL" }];
    const whole = {
      advice: "Grüße: 100 % of “it”, \u{1F600} \ud800",
      violations,
      retryAfterMs: 1500,
      resource: { type: "agent", name: "jäck" },
      quota: { subject: "agent:joe", description: "10 in 60 s" },
      metadata: { limit: "10", actual: "11" },
    } as const;
    let reason: Reason = "INVALID_FIELD";
    const server = http.createServer(
      connectNodeAdapter({
        routes: (router) =>
          router.service(MessageBus, {
            ack: () => {
              throw toConnectError(new BusError({ ...whole, reason }));
            },
          }),
      }),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const over1 = Object.entries(clientsInEveryProtocol({ url })).filter(([name]) => name.endsWith("HTTP/1.1"));
    for (reason of Object.keys(codes) as Reason[]) {
      for (const [protocol, client] of over1) {
        const error = await refusalOf(client, "ack", { agent: "joe", messageIds: ["x"] });
        expectReason(error, reason, codes[reason], `${reason} in ${protocol}`);
        expect(error.rawMessage).toBe(`${reason}: ${whole.advice.toWellFormed()}`);
        expect(error.findDetails(BadRequestSchema)).toEqual([
          expect.objectContaining({ fieldViolations: [expect.objectContaining(violations[0])] }),
        ]);
        expect(error.findDetails(RetryInfoSchema)[0]?.retryDelay).toMatchObject({ seconds: 1n, nanos: 500_000_000 });
        expect(error.findDetails(QuotaFailureSchema)[0]?.violations[0]).toMatchObject(whole.quota);
        expect(error.findDetails(ResourceInfoSchema)[0]).toMatchObject({ resourceType: "agent", resourceName: "jäck" });
        expect(error.findDetails(ErrorInfoSchema)[0]?.metadata).toEqual(whole.metadata);
        expect(error.metadata.get("retry-after")).toBe("2");
      }
    }
    expect(over1.length).toBeGreaterThan(2);
  });
});

describe("what the framework refuses", () => {
  test("has the same form: no such path, method or type, bad JSON, too large", async () => {
    const bus = await startBus();
    const json = { "content-type": "application/json" };
    const send = "/agentbus.v1.MessageBus/Send";
    const cases: Record<
      string,
      [call: Parameters<ReturnType<typeof overHttp1>>[0], status: number, reason: Reason, says: RegExp]
    > = {
      "no such method": [
        { path: "/agentbus.v1.MessageBus/Sned", headers: json, body: "{}" },
        404,
        "UNIMPLEMENTED",
        /Sned.*\/Send/,
      ],
      "no such path": [{ path: "/nothing", method: "GET" }, 404, "UNIMPLEMENTED", /\/nothing.*\/api\/send/],
      "GET of Send": [{ path: send, method: "GET" }, 405, "UNIMPLEMENTED", /use POST/],
      "PUT of Send": [{ path: send, method: "PUT", headers: json, body: "{}" }, 405, "UNIMPLEMENTED", /use POST/],
      "GET of /api/send": [{ path: "/api/send", method: "GET" }, 405, "UNIMPLEMENTED", /use POST/],
      "POST to /api/inbox": [{ path: "/api/inbox/joe" }, 405, "UNIMPLEMENTED", /use GET/],
      "DELETE of /healthz": [{ path: "/healthz", method: "DELETE" }, 405, "UNIMPLEMENTED", /use GET/],
      "curl's own content-type": [
        { path: send, headers: { "content-type": "application/x-www-form-urlencoded" }, body: "{}" },
        415,
        "UNIMPLEMENTED",
        /-H 'content-type: application\/json'/,
      ],
      "no content-type": [{ path: send, body: "{}" }, 415, "UNIMPLEMENTED", /application\/json/],
      "bad JSON": [{ path: send, headers: json, body: "{" }, 400, "MALFORMED_JSON", /JSON.*one JSON object.*-d @FILE$/],
      "bad JSON to /api/send": [
        { path: "/api/send", body: "{" },
        400,
        "MALFORMED_JSON",
        /JSON.*one JSON object.*-d @FILE$/,
      ],
      "a misspelled field": [
        { path: send, headers: json, body: '{"form":"joe"}' },
        400,
        "INVALID_FIELD",
        /"form" is unknown; known are from, to, subject, body, inReplyTo, ttlSeconds, requestId, traceparent$/,
      ],
      "a misspelled field of /api/send": [
        { path: "/api/send", body: '{"form":"joe"}' },
        400,
        "INVALID_FIELD",
        /"form" is unknown; known are from, to, subject, body, inReplyTo, ttlSeconds, requestId, traceparent$/,
      ],
      "a field of a wrong type": [
        { path: send, headers: json, body: '{"from":7}' },
        400,
        "INVALID_FIELD",
        /string.*openapi/,
      ],
      "too large": [{ path: send, headers: json, body: "x".repeat(5 * MIB) }, 429, "REQUEST_TOO_LARGE", /4194304/],
      "too large for /api/send": [
        { path: "/api/send", body: "x".repeat(5 * MIB) },
        429,
        "REQUEST_TOO_LARGE",
        /4194304/,
      ],
      "too large once unpacked, unknown packing": [
        { path: send, headers: { ...json, "content-encoding": "zstd" }, body: "{}" },
        501,
        "UNIMPLEMENTED",
        /gzip/,
      ],
    };
    for (const [what, [call, status, reason, says]] of Object.entries(cases)) {
      for (const [version, over] of Object.entries({ 1: overHttp1(bus.port), 2: overHttp2(bus.port) })) {
        const reply = await over(call);
        const where = `${what}, HTTP/${version}`;
        expect(reply.status, where).toBe(status);
        expect(reply.headers["content-type"], where).toBe("application/json");
        const { message, details } = connectError(reply.body.toString());
        expect(message, where).toMatch(new RegExp(`^${reason}: `));
        expect(message, where).toMatch(says);
        const info = details.find(({ type }) => type === "google.rpc.ErrorInfo") as { debug?: object } | undefined;
        expect(info?.debug, where).toMatchObject({ reason, domain: "agentbus" });
        if (status === 405) expect(reply.headers["allow"], where).toBeTruthy();
      }
    }
  });

  test("names a wrong field as JSON does, not as the .proto does", async () => {
    const bus = await startBus();
    const fieldOf = async (method: string, body: string) => {
      const reply = await overHttp1(bus.port)(callIn("connect json", method, body));
      const { details } = connectError(reply.body.toString());
      const request = details.find(({ type }) => type === "google.rpc.BadRequest") as
        | { debug?: { fieldViolations: readonly { field: string }[] } }
        | undefined;
      return request?.debug?.fieldViolations[0]?.field;
    };
    expect(await fieldOf("Send", '{"from":7}')).toBe("from");
    expect(await fieldOf("Send", '{"ttlSeconds":"soon"}')).toBe("ttlSeconds");
    expect(await fieldOf("PullInbox", '{"max_messages":"many"}')).toBe("maxMessages");
    expect(await fieldOf("PullInbox", '{"maxMesages":1}')).toBe("maxMesages");
    expect(await fieldOf("PullInbox", '{"agent":"joe","waitSeconds":-1}')).toBe("waitSeconds");
  });

  test("answers what is no HTTP in the same form", async () => {
    const bus = await startBus();
    const [malformed] = await answersTo(bus.port, "GARBAGE\r\n\r\n");
    expect([malformed?.status, connectError(malformed?.body ?? "").code]).toEqual([400, "invalid_argument"]);
    const [large] = await answersTo(bus.port, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`);
    expect([large?.status, connectError(large?.body ?? "").code]).toEqual([431, "invalid_argument"]);
  });
});

describe("the rate limit", () => {
  test("refuses the 11th message in a minute, stores nothing of it, counts each sender alone, and outlives a restart", async () => {
    const first = await spawnBus({ rateLimit: "10/min" });
    for (let n = 1; n <= 10; n++) await first.ok("Send", { ...joeToJack, body: `${n}` });
    const eleventh = await first.call("Send", { ...joeToJack, body: "11" });
    expect(eleventh.status).toBe(429);
    expect(eleventh.body.message).toMatch(/^RATE_LIMITED: /);
    const wait = Number(eleventh.headers.get("retry-after"));
    expect(wait).toBeGreaterThan(40);
    expect(wait).toBeLessThanOrEqual(60);
    const compat = await fetch(`${first.url}/api/send`, { method: "POST", body: JSON.stringify(joeToJack) });
    expect([compat.status, compat.headers.has("retry-after")]).toEqual([429, true]);

    const bodies = async (bus: TestBus) =>
      (await bus.ok("PullInbox", { agent: "jack" })).messages.map(({ body }: { body: string }) => body);
    const ten = Array.from({ length: 10 }, (_, n) => `${n + 1}`);
    expect(await bodies(first)).toEqual(ten);
    await first.ok("Send", { from: "jim", to: "jack", body: "from jim" });

    await first.stop();
    const second = await spawnBus({ rateLimit: "10/min" }, { folder: first.folder });
    expect((await second.call("Send", { ...joeToJack, body: "12" })).status).toBe(429);
    await second.ok("Send", { from: "jim", to: "jack", body: "from jim again" });
    expect(await bodies(second)).toEqual([...ten, "from jim", "from jim again"]);
  });
});

describe("the log", () => {
  test("holds no token, right or wrong, and no word of a message, at any level", async () => {
    const token = "tok-7Zq9-right";
    const secrets = { subject: "subj-4Kw8", body: "body-9Xr2", wrong: "tok-3Jt5-wrong" };
    const bus = await spawnBus({ token, logLevel: "trace", maxBodyBytes: "100" });
    const mail = { from: "joe", to: "jack", subject: secrets.subject, body: secrets.body };
    await bus.ok("Send", { ...mail, requestId: "key-1" });
    const refused: [string, object, Record<string, string>?][] = [
      ["Send", { ...mail, requestId: "key-1", body: `${secrets.body} other` }],
      ["Send", { ...mail, body: secrets.body.repeat(20) }],
      ["Send", { ...mail, [secrets.body]: 1 }],
      ["Send", { ...mail, body: { nested: secrets.body } }],
      ["Send", mail, { "x-bus-token": secrets.wrong }],
      ["Send", mail, { "x-bus-token": "", authorization: `Bearer ${secrets.wrong}` }],
      ["Send", mail, { "x-bus-token": "", authorization: `Basic ${secrets.wrong}` }],
    ];
    for (const [method, request, headers] of refused) {
      expect((await bus.call(method, request, headers)).status).toBeGreaterThanOrEqual(400);
    }
    const call = overHttp1(bus.port);
    const withToken = { "x-bus-token": token };
    const path = `/api/inbox/jack?mark_read=true&token=${token}&request_id=${secrets.body}`;
    expect((await call({ path, method: "GET", headers: withToken })).status).toBe(400);
    expect((await call({ path: "/api/send", headers: withToken, body: `{"body":"${secrets.body}` })).status).toBe(400);
    expect((await call({ path: "/api/inbox/jack", method: "GET", headers: withToken })).body.toString()).toContain(
      secrets.body,
    );
    await answersTo(bus.port, `GARBAGE ${token} ${secrets.body}\r\n\r\n`);
    const db = new Database(`${bus.folder}/bus.db`);
    onTestFinished(() => void db.close());
    db.exec("alter table messages rename to elsewhere");
    expect((await bus.call("Send", mail)).status).toBe(500);
    await bus.stop();

    const log = bus.log();
    expect(log).toContain('"msg":"request"');
    expect(log).toContain('"msg":"internal error"');
    for (const secret of [token, ...Object.values(secrets)]) expect(log.includes(secret), secret).toBe(false);
  });
});
