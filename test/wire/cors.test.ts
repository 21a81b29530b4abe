/**
 * What pages in a browser get: those of an allowed origin are let in and may read every answer, all others nothing. The
 * requests are those that a browser makes; what a real one makes of the answers, `npm run test:clients` shows.
 */
import { describe, expect, test } from "vitest";
import { startBus } from "../start-bus.ts";
import { type Call, overHttp1, overHttp2, type Reply } from "./http-calls.ts";
import { callIn, connectError, framedCall } from "./rpc-forms.ts";

const PAGE = "https://page.example";
const OTHER = "http://localhost:5173";
const allowing = { token: "right", corsOrigin: `${PAGE}, ${OTHER}/` };
const TOKEN = { "x-bus-token": "right" };

/** One call of each door, with the status it is answered with where the page is let in. */
const calls: Readonly<Record<string, readonly [Call, number]>> = {
  "a method": [callIn("connect json", "ListAgents", "{}", TOKEN), 200],
  "a method by GET": [
    { path: "/agentbus.v1.MessageBus/ListAgents?encoding=json&message=%7B%7D", method: "GET", headers: TOKEN },
    200,
  ],
  "a method over gRPC-Web": [framedCall("grpc-web", "ListAgents", new Uint8Array(), TOKEN), 200],
  "a pull that waits": [callIn("connect json", "PullInbox", '{"agent":"jack","waitSeconds":1}', TOKEN), 200],
  "a refused method": [callIn("connect json", "GetMessage", '{"agent":"jack","messageId":"no"}', TOKEN), 404],
  "a method without a token": [callIn("connect json", "ListAgents", "{}"), 401],
  "/api/send": [{ path: "/api/send", body: '{"from":"joe","to":"jack"}', headers: TOKEN }, 200],
  "/api/inbox": [{ path: "/api/inbox/jack", method: "GET", headers: TOKEN }, 200],
  "/api/inbox without a token": [{ path: "/api/inbox/jack", method: "GET" }, 401],
  "/": [{ path: "/", method: "GET" }, 200],
  "/openapi.json": [{ path: "/openapi.json", method: "GET", headers: TOKEN }, 200],
  "/metrics": [{ path: "/metrics", method: "GET", headers: TOKEN }, 200],
  "/healthz": [{ path: "/healthz", method: "GET" }, 200],
  "a path where nothing is": [{ path: "/nothing", method: "GET", headers: TOKEN }, 404],
  "a content type that nobody speaks": [
    { path: "/agentbus.v1.MessageBus/Send", headers: { "content-type": "text/plain" } },
    415,
  ],
};

const from = (origin: string, call: Call): Call => ({ ...call, headers: { ...call.headers, origin } });

const preflight = (path: string, origin: string, headers = "content-type,x-bus-token"): Call => ({
  path,
  method: "OPTIONS",
  headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": headers },
});

const marks = ({ headers }: Reply) => Object.keys(headers).filter((name) => name.startsWith("access-control-"));
const listed = (header: string | undefined) => (header ?? "").toLowerCase().split(", ");

describe("a page of an origin that --cors-origin names", () => {
  test("may read every answer of every door, also a refusal, over HTTP/1.1 and HTTP/2", async () => {
    const bus = await startBus(allowing);
    for (const over of [overHttp1(bus.port), overHttp2(bus.port)]) {
      for (const [name, [call, status]] of Object.entries(calls)) {
        for (const origin of [PAGE, OTHER]) {
          const reply = await over(from(origin, call));
          expect([reply.status, reply.headers["access-control-allow-origin"]], name).toEqual([status, origin]);
          const kept = reply.headers["cache-control"] !== "no-store";
          if (kept) expect(listed(reply.headers["vary"]), name).toContain("origin");
          const exposed = listed(reply.headers["access-control-expose-headers"]);
          const needed = ["retry-after", "grpc-status", "grpc-message", "grpc-status-details-bin"];
          expect(exposed, name).toEqual(expect.arrayContaining(needed));
        }
      }
    }
  });

  test("is answered before it shows a token, whatever it asks for, with all that it may send", async () => {
    const bus = await startBus(allowing);
    const paths = ["/agentbus.v1.MessageBus/Send", "/api/send", "/api/inbox/jack", "/nothing"];
    for (const over of [overHttp1(bus.port), overHttp2(bus.port)]) {
      for (const path of paths) {
        const { status, headers, body } = await over(preflight(path, PAGE));
        expect([status, body.length, headers["access-control-allow-origin"]], path).toEqual([204, 0, PAGE]);
        expect(listed(headers["access-control-allow-methods"])).toEqual(expect.arrayContaining(["get", "post"]));
        const sent = ["content-type", "connect-protocol-version", "connect-timeout-ms", "x-grpc-web", "grpc-timeout"];
        const ours = ["x-bus-token", "authorization", "traceparent"];
        const mcp = ["x-bus-agent", "mcp-protocol-version", "mcp-method", "mcp-name"];
        const may = listed(headers["access-control-allow-headers"]);
        expect(may).toEqual(expect.arrayContaining([...sent, ...ours, ...mcp]));
        expect(Number(headers["access-control-max-age"])).toBeGreaterThan(0);
      }
    }
  });

  test("is let in by a bus without a token, under this machine's names only", async () => {
    const bus = await startBus({ corsOrigin: PAGE });
    const call = callIn("connect json", "ListAgents", "{}");
    for (const over of [overHttp1(bus.port), overHttp2(bus.port)]) {
      expect((await over(from(PAGE, call))).status).toBe(200);
      const foreignHost = await over(from(PAGE, { ...call, headers: { ...call.headers, host: "rebound.example" } }));
      expect(connectError(foreignHost.body.toString()).message).toMatch(/^FOREIGN_ORIGIN: .*rebound\.example/);
    }
  });
});

describe("a page of any other origin", () => {
  const others = [
    "https://evil.example",
    `${PAGE}.evil.example`,
    `${PAGE}:8443`,
    "http://page.example",
    "https://sub.page.example",
    "https://PAGE.example",
    `${PAGE}/`,
    `${PAGE}, ${OTHER}`,
    "null",
    "*",
  ];

  test("may read nothing and asks in vain", async () => {
    const bus = await startBus(allowing);
    for (const over of [overHttp1(bus.port), overHttp2(bus.port)]) {
      for (const origin of others) {
        for (const [name, [call]] of Object.entries(calls).filter(([name]) => name !== "a pull that waits")) {
          expect(marks(await over(from(origin, call))), `${name} from ${origin}`).toEqual([]);
        }
        for (const path of ["/agentbus.v1.MessageBus/Send", "/api/send", "/healthz"]) {
          const reply = await over(preflight(path, origin));
          expect(reply.status, `${path} from ${origin}`).toBeGreaterThanOrEqual(400);
          expect(marks(reply), `${path} from ${origin}`).toEqual([]);
        }
      }
    }
  });

  test("stays FOREIGN_ORIGIN at a bus without a token", async () => {
    const bus = await startBus({ corsOrigin: PAGE });
    for (const origin of others) {
      const reply = await overHttp1(bus.port)(from(origin, callIn("connect json", "ListAgents", "{}")));
      expect(connectError(reply.body.toString()).message, origin).toMatch(/^FOREIGN_ORIGIN: /);
    }
  });
});

test("a page of another site reads no mail away by an image, where no token keeps the mail", async () => {
  const bus = await startBus({ corsOrigin: PAGE });
  await bus.ok("Send", { from: "joe", to: "jack", body: "still here" });
  // No Origin comes with these; what does come no page can change.
  const image = (site: string, query = ""): Call => ({
    path: `/api/inbox/jack${query}`,
    method: "GET",
    headers: { "sec-fetch-site": site, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" },
  });
  for (const over of [overHttp1(bus.port), overHttp2(bus.port)]) {
    const { status, body } = await over(image("cross-site", "?mark_read=true"));
    expect([status, connectError(body.toString()).message]).toEqual([403, expect.stringMatching(/^FOREIGN_ORIGIN: /)]);
    for (const site of ["none", "same-origin", "same-site"]) {
      const reply = await over(image(site));
      expect([reply.status, JSON.parse(reply.body.toString()).messages.length], site).toEqual([200, 1]);
    }
    // A page that calls by a script says who it is.
    const script = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors" };
    for (const origin of [PAGE, OTHER]) {
      const called = from(origin, { path: "/api/inbox/jack", method: "GET", headers: script });
      expect((await over(called)).status, origin).toBe(200);
    }
  }
});

test("without --cors-origin no answer is marked for any page", async () => {
  const bus = await startBus({ token: "right" });
  for (const over of [overHttp1(bus.port), overHttp2(bus.port)]) {
    const { path, headers = {} } = callIn("connect json", "ListAgents", "{}", TOKEN);
    for (const call of [from(PAGE, { path, headers, body: "{}" }), preflight(path, PAGE)]) {
      const reply = await over(call);
      expect([marks(reply), reply.headers["vary"]]).toEqual([[], undefined]);
    }
  }
});

test("a caller that is no page is told nothing but that answers vary", async () => {
  const bus = await startBus(allowing);
  const reply = await overHttp1(bus.port)(callIn("connect json", "ListAgents", "{}", TOKEN));
  expect([reply.status, marks(reply), reply.headers["vary"]]).toEqual([200, [], "Origin"]);
});
