/**
 * The description of the JSON surface at GET /openapi.json: it is valid OpenAPI, and what a live bus takes, answers and
 * refuses is what it says.
 */
import { Validator } from "@seriousme/openapi-schema-validator";
import Database from "better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { MessageBus } from "#gen/agentbus/v1/message_bus_pb.js";
import { type Flags, startBus, type TestBus } from "../start-bus.ts";
import { tokenOf } from "./bus-tokens.ts";
import { DescribedBus, rpcPath } from "./described-calls.ts";

const TOKEN = "shared";
const UNKNOWN_ID = "01a20456-542c-74ab-966b-1e5638b78735";
const METHODS = MessageBus.methods.map(({ name }) => name);

const joeToJack = { from: "joe", to: "jack", subject: "Task", body: "Handle blog publishing" };

async function describedBus(flags: Flags = {}): Promise<{ bus: TestBus; described: DescribedBus }> {
  const bus = await startBus({ token: TOKEN, ...flags });
  return { bus, described: await DescribedBus.of(bus, TOKEN) };
}

/** A request of each method that takes nothing for granted: all that it needs, and no more. */
const smallest: Readonly<Record<string, object>> = {
  Send: { from: "joe", to: "jack" },
  SendBatch: { requests: [joeToJack] },
  Broadcast: { from: "joe" },
  PullInbox: { agent: "jack" },
  Ack: { agent: "jack", messageIds: [UNKNOWN_ID] },
  ModifyLease: { agent: "jack", leaseId: "none", leaseSeconds: 0 },
  RegisterAgent: { agent: "jack" },
  ListAgents: {},
  RemoveAgent: { agent: "jill" },
  GetMessage: { agent: "jack", messageId: UNKNOWN_ID },
  GetReceipt: { messageId: UNKNOWN_ID },
  ListMessages: { agent: "jack" },
  RedriveDeadLetters: { agent: "jack" },
};

describe("GET /openapi.json", () => {
  test("is a valid OpenAPI document", async () => {
    const { described } = await describedBus();
    const { valid, errors } = await new Validator().validate(structuredClone(described.document) as never);
    expect(errors).toBeUndefined();
    expect(valid).toBe(true);
    expect(described.document.openapi).toBe("3.1.0");
  });

  test("describes every method, the plain-HTTP pair, and nothing else", async () => {
    const { described } = await describedBus();
    const paths = Object.entries(described.document.paths).map(([path, item]) => [path, Object.keys(item)]);
    expect(Object.fromEntries(paths)).toEqual({
      ...Object.fromEntries(METHODS.map((name) => [rpcPath(name), ["post"]])),
      "/api/send": ["post"],
      "/api/inbox/{agent}": ["get"],
    });
  });

  test("asks for the token, and is read only", async () => {
    const { bus } = await describedBus();
    const url = `${bus.url}/openapi.json`;
    const headers = { "x-bus-token": TOKEN };
    expect((await fetch(url)).status).toBe(401);
    expect((await fetch(url, { headers: tokenOf(bus, "jack") })).status).toBe(200);
    const head = await fetch(url, { method: "HEAD", headers });
    expect([head.status, head.headers.get("content-type"), await head.text()]).toEqual([200, "application/json", ""]);
    const posted = await fetch(url, { method: "POST", headers });
    expect([posted.status, posted.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  test("says of every answer what is in it, and of nothing what is never there", async () => {
    const { bus, described } = await describedBus({ rateLimit: "6/min", maxAttempts: "1" });
    const ok = described.ok.bind(described);
    await ok("RegisterAgent", { agent: "jack", description: "writes" });
    await ok("RegisterAgent", { agent: "jill" });

    // A thread: leased, prolonged, answered, acknowledged.
    const trace = { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" };
    const { id } = await ok("Send", { ...joeToJack, ...trace, ttlSeconds: 3600, requestId: "key-1" });
    const { leaseId } = await ok("PullInbox", { agent: "jack", leaseSeconds: 60, maxBodyBytes: 6 });
    await ok("ModifyLease", { agent: "jack", leaseId, leaseSeconds: 90 });
    await ok("Send", { from: "jack", to: "joe", inReplyTo: id, body: "done" });
    await ok("Ack", { agent: "jack", messageIds: [id, UNKNOWN_ID], leaseId });
    await ok("PullInbox", { agent: "joe" });
    await ok("GetMessage", { agent: "jack", messageId: id });
    await ok("GetReceipt", { messageId: id });

    // A message that nobody reads any more.
    const { id: lost } = await ok("Send", { ...joeToJack, to: "jim" });
    await ok("ListAgents", { includeUnregistered: true, pageSize: 1 });
    await ok("ListAgents", { includeUnregistered: true });
    await ok("RegisterAgent", { agent: "jim" });
    await ok("RemoveAgent", { agent: "jim", force: true });
    await ok("GetReceipt", { messageId: lost });
    await ok("ListMessages", { agent: "jim", box: "BOX_DEAD", untilTime: new Date(Date.now() + 60_000).toISOString() });
    await ok("RedriveDeadLetters", { agent: "jim", messageIds: [lost, UNKNOWN_ID] });

    await ok("Broadcast", { from: "jill", body: "to all", includeSender: true });
    await ok("ListMessages", { agent: "jack", pageSize: 1 });
    // The seventh of joe's is one too many.
    const batch = await ok("SendBatch", { requests: Array(7).fill(joeToJack) });
    expect(batch.results.at(-1)).toHaveProperty("error.retryAfterMs");

    const plain = { ...joeToJack, from: "jane" };
    expect(described.wrongIn("/api/send", { ...plain, timestamp: 0 })).toBe("");
    expect((await described.call({ path: "/api/send", request: { ...plain, timestamp: 0 } })).status).toBe(200);
    const inbox = { path: "/api/inbox/{agent}", url: "/api/inbox/jack?mark_read=true&max_messages=2" };
    expect((await described.call(inbox)).body.messages).toHaveLength(2);

    expect([...described.seen].filter((name) => !answerFields(described).includes(name))).toEqual([]);
    expect(answerFields(described).filter((name) => !described.seen.has(name))).toEqual([]);
    await bus.stop();
  });

  test("says how every failure looks", async () => {
    const { bus, described } = await describedBus({ rateLimit: "1/min", maxCalls: "1" });
    const failure = async (name: string, request: object, headers: Record<string, string> = {}) => {
      const { status, body } = await described.call({ path: rpcPath(name), request, headers });
      return `${status} ${body.code} ${/^([A-Z_]+): /.exec(body.message)?.[1]}`;
    };
    await described.ok("RegisterAgent", { agent: "jack" });
    await described.ok("Send", { ...joeToJack, requestId: "key-1" });
    expect(await failure("PullInbox", { agent: "?" })).toBe("400 invalid_argument INVALID_FIELD");
    expect(await failure("RemoveAgent", { agent: "jack" })).toBe("400 failed_precondition INBOX_NOT_EMPTY");
    expect(await failure("Send", joeToJack, { "x-bus-token": "wrong" })).toBe("401 unauthenticated TOKEN_INVALID");
    expect(await failure("Send", joeToJack, tokenOf(bus, "jack"))).toBe("403 permission_denied NOT_YOUR_NAME");
    expect(await failure("GetReceipt", { messageId: UNKNOWN_ID })).toBe("404 not_found UNKNOWN_MESSAGE");
    const other = { ...joeToJack, body: "other", requestId: "key-1" };
    expect(await failure("Send", other)).toBe("409 already_exists REQUEST_ID_REUSED");
    expect(await failure("Send", joeToJack)).toBe("429 resource_exhausted RATE_LIMITED");
    const xml = { "content-type": "application/xml" };
    expect(await failure("Send", joeToJack, xml)).toBe("415 unimplemented UNIMPLEMENTED");

    const inbox = { path: "/api/inbox/{agent}", url: "/api/inbox/jack?markread=true" };
    expect((await described.call(inbox)).status).toBe(400);

    // Somebody holds the database: the first call waits for it, and there is room for one.
    const db = new Database(`${bus.folder}/bus.db`);
    onTestFinished(() => void db.close());
    db.exec("begin immediate");
    const held = bus.call("Send", { ...joeToJack, from: "jane" });
    await expect.poll(() => failure("ListAgents", {})).toBe("503 unavailable BUSY");
    db.exec("rollback");
    expect((await held).status).toBe(200);
    db.exec("alter table messages rename to elsewhere");
    expect(await failure("Send", { ...joeToJack, from: "jill" })).toBe("500 internal undefined");
  });
});

describe("a request", () => {
  test("is described for every method", () => {
    expect(Object.keys(smallest).sort()).toEqual([...METHODS].sort());
  });

  for (const [name, request] of Object.entries(smallest)) {
    test(`of ${name} is refused, by its description and by the bus, with a misspelled field or without one it needs`, async () => {
      const { bus, described } = await describedBus();
      expect(described.wrongIn(rpcPath(name), request)).toBe("");
      const { body } = await bus.call(name, request);
      expect(body.code).not.toBe("invalid_argument");
      const { properties = {}, required = [] } = described.document.components.schemas[`${name}Request`] ?? {};
      const bad: Record<string, unknown>[] = [
        ...Object.keys(properties).map((field) => ({ ...request, [`${field}x`]: "x" })),
        ...required.map((field) => Object.fromEntries(Object.entries(request).filter(([given]) => given !== field))),
        { ...request, [Object.keys(properties)[0] as string]: { nested: true } },
      ];
      for (const each of bad) {
        expect(described.wrongIn(rpcPath(name), each), JSON.stringify(each)).not.toBe("");
        const refused = await described.call({ path: rpcPath(name), request: each });
        expect([refused.status, refused.body.code], JSON.stringify(each)).toEqual([400, "invalid_argument"]);
      }
    });
  }
});

/** "Message.id" and so on: every field of every message that is answered. */
function answerFields({ document }: DescribedBus): string[] {
  return Object.entries(document.components.schemas)
    .filter(([name]) => !name.endsWith("Request") && name !== "Error")
    .flatMap(([name, { properties = {} }]) => Object.keys(properties).map((field) => `${name}.${field}`));
}
