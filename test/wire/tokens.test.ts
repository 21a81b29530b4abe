/**
 * Who is let in, at every door: which tokens count and from when to when, and how guessing is slowed down.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { MessageBus } from "#gen/agentbus/v1/message_bus_pb.js";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { spawnBus, startBus } from "../start-bus.ts";
import { tokenCommand, tokenOf, toldTo } from "./bus-tokens.ts";
import { clientsInEveryProtocol } from "./every-protocol.ts";
import { type Call, overHttp1, overHttp2 } from "./http-calls.ts";
import { callIn, connectError } from "./rpc-forms.ts";

/** A token takes effect within this time, in milliseconds. */
const EFFECT_MS = 1000;

/** Every door but that of the RPCs in their many protocols, and one method of those as curl calls it. */
const doors: Readonly<Record<string, Call>> = {
  "a method in JSON": callIn("connect json", "ListAgents", "{}"),
  "a method by GET": { path: "/agentbus.v1.MessageBus/ListAgents?encoding=json&message=%7B%7D", method: "GET" },
  "/api/send": { path: "/api/send", body: JSON.stringify({ from: "joe", to: "jack" }) },
  "/api/inbox": { path: "/api/inbox/jack?mark_read=true", method: "GET" },
  "a path where nothing is": { path: "/nothing", method: "GET" },
};

describe("a call", () => {
  test("without a token is TOKEN_MISSING, with a wrong one TOKEN_INVALID, 401 at every door", async () => {
    const wrongs = { TOKEN_MISSING: {}, TOKEN_INVALID: { "x-bus-token": "wrong" } };
    for (const [reason, headers] of Object.entries(wrongs)) {
      const bus = await startBus({ token: "right" });
      for (const [protocol, client] of Object.entries(clientsInEveryProtocol(bus, headers))) {
        const error = ConnectError.from(await client.listAgents({}).catch((error: unknown) => error));
        expect([Code[error.code], error.rawMessage], protocol).toEqual([
          "Unauthenticated",
          expect.stringMatching(`^${reason}: `),
        ]);
        expect(error.findDetails(ErrorInfoSchema)[0]?.reason, protocol).toBe(reason);
      }
      for (const [door, call] of Object.entries(doors)) {
        for (const over of [overHttp1(bus.port), overHttp2(bus.port)]) {
          const reply = await over({ ...call, headers: { ...call.headers, ...headers } });
          expect(reply.status, door).toBe(401);
          const { code, message } = connectError(reply.body.toString());
          expect([code, message], door).toEqual(["unauthenticated", expect.stringMatching(`^${reason}: `)]);
        }
      }
      for (const path of ["/healthz", "/readyz"]) {
        expect((await overHttp1(bus.port)({ path, method: "GET", headers })).status, path).toBe(200);
      }
      expect((await bus.ok("ListAgents", { includeUnregistered: true })).agents).toEqual([]);
    }
  });

  test("without a token is refused by every method of the service before its body is looked at", async () => {
    const bus = await startBus({ token: "right" });
    for (const { name } of MessageBus.methods) {
      for (const body of ["{}", "{", '{"no":1}']) {
        const reply = await overHttp1(bus.port)(callIn("connect json", name, body));
        expect([reply.status, connectError(reply.body.toString()).message], `${name} ${body}`).toEqual([
          401,
          expect.stringMatching(/^TOKEN_MISSING: /),
        ]);
      }
    }
  });

  test("with a wrong token is told to wait after 20 from one address, while a right one is never refused", async () => {
    const bus = await startBus({ token: "right" });
    const agent = tokenOf(bus, "jack")["x-bus-token"];
    for (let n = 1; n <= 20; n++) expect(await toldTo(bus, `wrong-${n}`), `${n}`).toBe("401 TOKEN_INVALID");
    for (let n = 1; n <= 5; n++) {
      const { status, headers, body } = await bus.call("PullInbox", { agent: "jack" }, { "x-bus-token": "wrong" });
      expect([status, body.code, body.message]).toEqual([
        429,
        "resource_exhausted",
        expect.stringMatching(/^RATE_LIMITED: 20 wrong tokens/),
      ]);
      const wait = Number(headers.get("retry-after"));
      expect(wait > 0 && wait <= 60, `retry-after ${wait}`).toBe(true);
      expect(body.details.map(({ type }: { type: string }) => type)).toContain("google.rpc.RetryInfo");
      for (const token of ["right", agent]) expect(await toldTo(bus, token)).toBe("200");
    }
    const { path, ...call } = doors["/api/inbox"] as Call;
    const compat = await overHttp2(bus.port)({ ...call, path, headers: { "x-bus-token": "wrong" } });
    expect([compat.status, compat.headers["retry-after"]]).toEqual([429, expect.stringMatching(/^[1-6]?\d$/)]);
    // Who forgot the token guesses nothing, and is told so.
    expect((await overHttp1(bus.port)({ ...call, path })).status).toBe(401);
  });

  test("brings its agent's token to a bus that is open to all, and is bound to that name", async () => {
    const bus = await startBus();
    expect((await bus.call("PullInbox", { agent: "jack" })).status).toBe(200);
    const { "x-bus-token": joe } = tokenOf(bus, "joe");
    expect(await toldTo(bus, joe)).toBe("403 NOT_YOUR_INBOX");
    expect(await toldTo(bus, joe, "PullInbox", { agent: "joe" })).toBe("200");
    expect(await toldTo(bus, "wrong")).toBe("401 TOKEN_INVALID");
  });
});

describe("a token made by the command", () => {
  test("counts within a second while the bus serves, also as Bearer, and no longer once it is revoked", async () => {
    const bus = await spawnBus({ token: "shared" });
    const jack = await tokenCommand(bus, "create", "--agent", "Jack");
    const admin = await tokenCommand(bus, "create", "--admin");
    await expect.poll(() => toldTo(bus, jack.token), { timeout: EFFECT_MS }).toBe("200");
    await expect.poll(() => toldTo(bus, admin.token), { timeout: EFFECT_MS }).toBe("200");
    expect(await toldTo(bus, jack.token, "PullInbox", { agent: "joe" })).toBe("403 NOT_YOUR_INBOX");
    expect(await toldTo(bus, admin.token, "PullInbox", { agent: "joe" })).toBe("200");
    const bearer = { ...doors["/api/inbox"], headers: { authorization: `Bearer ${jack.token}` } } as Call;
    expect((await overHttp1(bus.port)(bearer)).status).toBe(200);

    await tokenCommand(bus, "revoke", jack.id);
    await expect.poll(() => toldTo(bus, jack.token), { timeout: EFFECT_MS }).toBe("401 TOKEN_INVALID");
    expect((await overHttp1(bus.port)(bearer)).status).toBe(401);
    expect(await toldTo(bus, admin.token)).toBe("200");
    await tokenCommand(bus, "revoke", admin.id);
    await expect.poll(() => toldTo(bus, admin.token), { timeout: EFFECT_MS }).toBe("401 TOKEN_INVALID");
    expect(await toldTo(bus, "shared")).toBe("200");
  });
});

describe("a pull that waits", () => {
  test("hands out nothing once its token is revoked, at either door, and what came meanwhile stays unread", async () => {
    const bus = await startBus({ token: "shared" });
    const { token, id } = await tokenCommand(bus, "create", "--agent", "jack");
    const headers = { "x-bus-token": token };
    const asked = JSON.stringify({ agent: "jack", waitSeconds: 20, markRead: true });
    const waits: readonly Call[] = [
      callIn("connect json", "PullInbox", asked),
      { path: "/api/inbox/jack?wait_seconds=20&mark_read=true", method: "GET" },
    ];
    const wait = async (call: Call) => {
      const { status, body } = await overHttp1(bus.port)({ ...call, headers: { ...call.headers, ...headers } });
      const { messages, message } = JSON.parse(body.toString());
      return [status, messages?.length ?? message];
    };
    const unread = async () => (await bus.ok("PullInbox", { agent: "jack" })).messages.length;
    for (const call of waits) {
      const waiting = wait(call);
      await sleep(100);
      await bus.ok("Send", { from: "joe", to: "jack", body: "in time" });
      expect(await waiting, call.path).toEqual([200, 1]);
      await expect.poll(unread).toBe(0);
    }
    const waiting = waits.map(wait);
    await sleep(100);
    await tokenCommand(bus, "revoke", id);
    await bus.ok("Send", { from: "joe", to: "jack", body: "too late" });
    const refused = [401, expect.stringMatching(/^TOKEN_INVALID: /)];
    expect(await Promise.all(waiting)).toEqual([refused, refused]);
    expect(await unread()).toBe(1);
  });
});

describe("--require-agent-tokens", () => {
  test("shuts the shared token out at every door, and leaves admins all and agents their own", async () => {
    const bus = await startBus({ token: "shared", requireAgentTokens: "true" });
    const { "x-bus-token": admin } = tokenOf(bus, undefined);
    const { "x-bus-token": jack } = tokenOf(bus, "jack");
    for (const [door, call] of Object.entries(doors)) {
      const shared = await overHttp1(bus.port)({ ...call, headers: { ...call.headers, "x-bus-token": "shared" } });
      expect([shared.status, shared.body.toString()], door).toEqual([401, expect.stringContaining("TOKEN_INVALID: ")]);
      const bare = await overHttp1(bus.port)(call);
      expect([bare.status, bare.body.toString()], door).toEqual([401, expect.stringContaining("TOKEN_MISSING: ")]);
    }
    expect(await toldTo(bus, jack)).toBe("200");
    expect(await toldTo(bus, jack, "RemoveAgent", { agent: "jack" })).toBe("403 ADMIN_ONLY");
    expect(await toldTo(bus, admin, "Send", { from: "anyone", to: "jack" })).toBe("200");
    expect(await toldTo(bus, admin, "RemoveAgent", { agent: "jack", force: true })).toBe("200");
  });

  test("without a shared token serves its tokens by any Host, and nobody else by any", async () => {
    const bus = await startBus({ requireAgentTokens: "true" });
    const jack = tokenOf(bus, "jack");
    for (const over of [overHttp1(bus.port), overHttp2(bus.port)]) {
      for (const [host, origin] of [["bus.example:8091"], ["localhost"], ["bus.example", "https://page.example"]]) {
        const headers = { host: host as string, ...(origin && { origin }) };
        const call = doors["/api/inbox"] as Call;
        expect((await over({ ...call, headers: { ...headers, ...jack } })).status, `${host} ${origin}`).toBe(200);
        expect((await over({ ...call, headers })).status, `${host} ${origin}`).toBe(401);
      }
    }
  });
});
