/**
 * The plain-HTTP pair that agents had before this bus: what they send and read goes on to work unchanged, and mail that
 * was read is READ only when its reader has it.
 */
import http2 from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { startBus, type TestBus } from "../start-bus.ts";
import { overHttp1, overHttp2, type Reply } from "./http-calls.ts";
import { END_HEADERS, END_STREAM, frame, headerBlock, PREFACE, setting, Type, u32 } from "./http2-frames.ts";
import { RawSocket } from "./raw-socket.ts";
import { connectError } from "./rpc-forms.ts";

/** For what comes in a moment, also on a busy machine. */
const PATIENT = { timeout: 10_000 };

const message = { from: "joe", to: "jack", subject: "Task", body: "Handle blog publishing" };

interface Mail {
  readonly id: string;
  readonly body: string;
}

const post = (bus: TestBus, body: object | string, headers: Record<string, string> = {}) =>
  fetch(`${bus.url}/api/send`, {
    method: "POST",
    headers,
    body: typeof body === "string" ? Buffer.from(body) : Buffer.from(JSON.stringify(body)),
  });

async function read(bus: TestBus, path: string): Promise<readonly Mail[]> {
  const answer = await fetch(`${bus.url}/api/inbox/${path}`);
  const body = (await answer.json()) as { messages: readonly Mail[] };
  expect([answer.status, Object.keys(body)]).toEqual([200, ["messages"]]);
  return body.messages;
}

const bodiesOf = async (bus: TestBus, path: string) => (await read(bus, path)).map(({ body }) => body);

const deliveryOf = async (bus: TestBus, messageId: string) =>
  (await bus.ok("GetReceipt", { messageId })).receipts[0] as { state: string; deliveryAttempt: number };

const reasonOf = (reply: Reply) => /^([A-Z_]+): /.exec(connectError(reply.body.toString()).message)?.[1];

describe("the plain-HTTP pair", () => {
  test("hands out a message once with mark_read=true, with the five fields agents know", async () => {
    const bus = await startBus();
    expect((await post(bus, message)).status).toBe(200);
    const [first, ...others] = await read(bus, "jack?mark_read=true");
    expect(others).toEqual([]);
    expect(first).toMatchObject({ ...message, timestamp: expect.stringMatching(/^20\d\d-.*Z$/) });
    expect(await read(bus, "jack?mark_read=true")).toEqual([]);
  });
});

test("no cache keeps an answer that a GET had, at any door", async () => {
  const bus = await startBus();
  const asked = ["/api/inbox/jack", "/agentbus.v1.MessageBus/ListAgents?encoding=json&message=%7B%7D", "/", "/nothing"];
  for (const call of [overHttp1(bus.port), overHttp2(bus.port)]) {
    for (const path of [...asked, "/metrics", "/openapi.json", "/healthz", "/readyz"]) {
      expect((await call({ path, method: "GET" })).headers["cache-control"], path).toBe("no-store");
    }
  }
});

describe("POST /api/send", () => {
  test("takes a message with any content-type or none, and passes over a timestamp of any kind", async () => {
    const bus = await startBus();
    for (const type of [
      "application/json",
      "text/plain",
      "application/x-www-form-urlencoded",
      "application/json; charset=utf-8",
    ]) {
      expect((await post(bus, message, { "content-type": type })).status, type).toBe(200);
    }
    expect((await overHttp1(bus.port)({ path: "/api/send", body: JSON.stringify(message) })).status).toBe(200);
    expect((await overHttp2(bus.port)({ path: "/api/send", body: JSON.stringify(message) })).status).toBe(200);
    for (const timestamp of ["1999-01-01T00:00:00Z", "yesterday", 0, null, { seconds: 1 }]) {
      expect((await post(bus, { ...message, timestamp })).status, JSON.stringify(timestamp)).toBe(200);
    }
    const messages = (await bus.ok("PullInbox", { agent: "jack" })).messages as { timestamp: string }[];
    expect(messages).toHaveLength(11);
    for (const { timestamp } of messages) expect(Math.abs(Date.parse(timestamp) - Date.now())).toBeLessThan(60_000);
  });

  test("answers as Send does, and takes all that Send takes", async () => {
    const bus = await startBus();
    const first = await (await post(bus, { ...message, requestId: "key-1", ttlSeconds: 60 })).json();
    expect(first).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      timestamp: expect.any(String),
      deduplicated: false,
      recipientKnown: false,
      recipientCount: 1,
      notice: expect.stringContaining("jack"),
    });
    const { id } = first as Mail;
    expect(await (await post(bus, { ...message, request_id: "key-1" })).json()).toMatchObject({
      id,
      deduplicated: true,
    });
    expect(await bus.ok("Send", { ...message, requestId: "key-1" })).toMatchObject({ id, deduplicated: true });
    const reply = { from: "jack", to: "joe", inReplyTo: id };
    await post(bus, reply);
    expect(await read(bus, "joe")).toEqual([expect.objectContaining({ inReplyTo: id, hops: 1 })]);
  });

  test("to ALL reaches every registered agent but the sender, in any case", async () => {
    const bus = await startBus();
    for (const agent of ["joe", "jack", "jill"]) await bus.ok("RegisterAgent", { agent });
    for (const all of ["ALL", "all", "All"]) {
      expect(await (await post(bus, { from: "joe", to: all, body: all })).json()).toMatchObject({ recipientCount: 2 });
    }
    for (const agent of ["jack", "jill"]) expect(await bodiesOf(bus, agent)).toEqual(["ALL", "all", "All"]);
    expect((await read(bus, "jack"))[0]).toMatchObject({ to: "ALL" });
    expect(await read(bus, "joe")).toEqual([]);
  });
});

describe("GET /api/inbox", () => {
  test("looks by default, and a look changes nothing", async () => {
    const bus = await startBus();
    await post(bus, message);
    const [first] = await read(bus, "Jack");
    expect(await read(bus, "jack?mark_read=false")).toEqual([first]);
    expect(await read(bus, "jack?request_id=ignored-by-a-look")).toEqual([first]);
    expect(await deliveryOf(bus, first?.id ?? "")).toMatchObject({
      state: "DELIVERY_STATE_UNREAD",
      deliveryAttempt: 0,
    });
  });

  test("marks READ what it handed out with mark_read=true, and no more than max_messages", async () => {
    const bus = await startBus();
    for (const body of ["1", "2", "3"]) await post(bus, { ...message, body });
    const [first, ...others] = await read(bus, "jack?mark_read=true&max_messages=1");
    expect([first?.body, others]).toEqual(["1", []]);
    await expect.poll(() => deliveryOf(bus, first?.id ?? ""), PATIENT).toMatchObject({ state: "DELIVERY_STATE_READ" });
    expect(await bodiesOf(bus, "jack?max_messages=1")).toEqual(["2"]);
    expect(await bodiesOf(bus, "jack?max_messages=0&mark_read=true")).toEqual(["2", "3"]);
    expect(await bodiesOf(bus, "jack")).toEqual([]);
  });

  test("waits wait_seconds for a first message, and answers empty when none came", async () => {
    const bus = await startBus();
    const began = performance.now();
    expect(await read(bus, "jack?wait_seconds=1")).toEqual([]);
    expect(performance.now() - began).toBeGreaterThan(950);
    const waiting = bodiesOf(bus, "jack?wait_seconds=20&mark_read=true");
    await sleep(100);
    await post(bus, { ...message, body: "worth the wait" });
    expect(await waiting).toEqual(["worth the wait"]);
    expect(await read(bus, "jack")).toEqual([]);
  });

  test("gives the same messages again to the same request_id, also when they are READ, and no other", async () => {
    const bus = await startBus();
    for (const body of ["1", "2"]) await post(bus, { ...message, body });
    const first = await read(bus, "jack?mark_read=true&request_id=r-1");
    expect(first.map(({ body }) => body)).toEqual(["1", "2"]);
    await post(bus, { ...message, body: "3" });
    expect(await bodiesOf(bus, "jack?mark_read=true&request_id=r-1")).toEqual(["1", "2"]);
    await expect
      .poll(() => deliveryOf(bus, first[0]?.id ?? ""), PATIENT)
      .toMatchObject({ state: "DELIVERY_STATE_READ" });
    expect(await bodiesOf(bus, "jack?mark_read=true&request_id=r-1&max_messages=1")).toEqual(["1", "2"]);
    expect(await bodiesOf(bus, "jack?mark_read=true&request_id=r-2")).toEqual(["3"]);
    expect(await bodiesOf(bus, "jack?mark_read=true&request_id=r-3")).toEqual([]);
    // The RPC is a door to the same inbox: the key means the same there.
    expect((await bus.ok("PullInbox", { agent: "jack", markRead: true, requestId: "r-1" })).messages).toHaveLength(2);
  });

  test("refuses a parameter or a value that it does not know, and hands out nothing", async () => {
    const bus = await startBus();
    await post(bus, message);
    const call = overHttp1(bus.port);
    for (const query of [
      "mark_raed=true",
      "mark_read=1",
      "mark_read=TRUE",
      "leaseSeconds=5",
      "max_messages=ten",
      "mark_read",
    ]) {
      const reply = await call({ path: `/api/inbox/jack?mark_read=true&${query}`, method: "GET" });
      expect([reply.status, reasonOf(reply)], query).toEqual([400, "INVALID_FIELD"]);
      expect(connectError(reply.body.toString()).message, query).toContain(query.split("=")[0]);
    }
    expect(await read(bus, "jack")).toHaveLength(1);
  });

  test("is one inbox for a name however it is written in the path", async () => {
    const bus = await startBus();
    await post(bus, { ...message, to: "jack.b_c-1" });
    for (const name of ["jack.b_c-1", "JACK.B_C-1", "%6aack.b_c-1", "jack%2Eb_c-1"])
      expect(await read(bus, name), name).toHaveLength(1);
  });
});

describe("a caller who hangs up while the answer is written", () => {
  /** As JSON each of these characters is six bytes: the kernel keeps no such answer for one who does not read. */
  const HEAVY = "\u0001".repeat(250_000);
  const COUNT = 4;
  const PATH = "/api/inbox/jack?mark_read=true";

  async function heavyInbox(): Promise<{ bus: TestBus; ids: string[] }> {
    const bus = await startBus();
    const ids: string[] = [];
    for (let n = 0; n < COUNT; n++) ids.push((await bus.ok("Send", { ...message, body: HEAVY })).id);
    return { bus, ids };
  }

  /** The answer is under way: its mail is held, and not READ yet. */
  async function whileHeld(bus: TestBus, id: string): Promise<void> {
    await expect.poll(() => deliveryOf(bus, id), PATIENT).toMatchObject({ state: "DELIVERY_STATE_LEASED" });
    await sleep(100);
    expect(await deliveryOf(bus, id)).toMatchObject({ state: "DELIVERY_STATE_LEASED" });
    expect(await read(bus, "jack")).toEqual([]);
  }

  async function expectUnread(bus: TestBus, ids: readonly string[]): Promise<void> {
    await expect.poll(async () => (await read(bus, "jack")).length, PATIENT).toBe(COUNT);
    for (const id of ids) {
      expect(await deliveryOf(bus, id)).toMatchObject({ state: "DELIVERY_STATE_UNREAD", deliveryAttempt: 0 });
    }
    const { messages, leaseId } = await bus.ok("PullInbox", { agent: "jack", leaseSeconds: 60, maxBytes: 3_000_000 });
    expect(messages.map(({ deliveryAttempt }: { deliveryAttempt: number }) => deliveryAttempt)).toEqual([1, 1, 1, 1]);
    expect(await bus.ok("Ack", { agent: "jack", leaseId, messageIds: ids })).toMatchObject({ ackedCount: COUNT });
  }

  const http1 = Buffer.from(`GET ${PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  /** With windows so large that HTTP/2 itself holds nothing back. */
  const http2Bytes = Buffer.concat([
    PREFACE,
    frame(Type.SETTINGS, 0, 0, setting(4, 0x7fffffff)),
    frame(Type.WINDOW_UPDATE, 0, 0, u32(0x7fff0000)),
    frame(
      Type.HEADERS,
      END_HEADERS | END_STREAM,
      1,
      headerBlock([
        [":method", "GET"],
        [":scheme", "http"],
        [":authority", "localhost"],
        [":path", PATH],
      ]),
    ),
  ]);

  for (const [version, bytes] of Object.entries({ "HTTP/1.1": http1, "HTTP/2": http2Bytes })) {
    for (const leave of ["destroy", "reset"] as const) {
      test(`leaves it unread at once, with no attempt counted, over ${version} (${leave})`, async () => {
        const { bus, ids } = await heavyInbox();
        const socket = await RawSocket.open(bus.port);
        socket.stopReading().send(bytes);
        await whileHeld(bus, ids[0] ?? "");
        socket[leave]();
        await expectUnread(bus, ids);
      });
    }
  }

  test("leaves it unread at once when he resets the stream of HTTP/2, or loses its connection", async () => {
    for (const leave of ["stream", "connection"] as const) {
      const { bus, ids } = await heavyInbox();
      const session = http2.connect(bus.url, { settings: { initialWindowSize: 1000 } });
      session.on("error", () => undefined);
      onTestFinished(() => session.destroy());
      const stream = session.request({ ":path": PATH });
      stream.on("error", () => undefined);
      stream.pause();
      await whileHeld(bus, ids[0] ?? "");
      if (leave === "stream") stream.close(http2.constants.NGHTTP2_CANCEL);
      else session.destroy();
      await expectUnread(bus, ids);
    }
  });

  test("and one who reads slowly but to the end has read it, every character of it", async () => {
    const bus = await startBus();
    const bodies = [`x${"\u{1F600}".repeat(50_000)}`, `${HEAVY}y`, "ü".repeat(100_000)];
    for (const call of [overHttp1(bus.port), overHttp2(bus.port)]) {
      const ids: string[] = [];
      for (const body of bodies) ids.push((await bus.ok("Send", { ...message, body })).id);
      const reply = await call({ path: PATH, method: "GET" });
      const { messages } = JSON.parse(reply.body.toString()) as { messages: readonly Mail[] };
      expect(messages.map(({ body }, n) => body === bodies[n])).toEqual([true, true, true]);
      for (const id of ids)
        await expect.poll(() => deliveryOf(bus, id), PATIENT).toMatchObject({ state: "DELIVERY_STATE_READ" });
      expect(await read(bus, "jack")).toEqual([]);
    }
    await bus.ok("Send", { ...message, body: HEAVY });
    const { id } = (await bus.ok("PullInbox", { agent: "jack", maxBodyBytes: 1 })).messages[0];
    const socket = await RawSocket.open(bus.port);
    socket.stopReading().send(http1);
    await sleep(300);
    socket.readAgain();
    await expect.poll(() => deliveryOf(bus, id), PATIENT).toMatchObject({ state: "DELIVERY_STATE_READ" });
  });
});

describe("who may use it", () => {
  const doors: Readonly<Record<string, { path: string; method: string; body?: string }>> = {
    "/api/send": { path: "/api/send", method: "POST", body: JSON.stringify(message) },
    "/api/inbox": { path: "/api/inbox/jack?mark_read=true", method: "GET" },
  };

  test("whoever brings the token as X-Bus-Token or Bearer, and nobody with a wrong one or none", async () => {
    const bus = await startBus({ token: "right-token" });
    for (const [door, call] of Object.entries(doors)) {
      for (const over of [overHttp1(bus.port), overHttp2(bus.port)]) {
        const answered = async (headers: Record<string, string>) => {
          const reply = await over({ ...call, headers });
          return reply.status === 200 ? 200 : `${reply.status} ${reasonOf(reply)}`;
        };
        const rights = [
          { "x-bus-token": "right-token" },
          { authorization: "Bearer right-token" },
          { authorization: "bearer  right-token" },
          { "x-bus-token": "right-token", host: "bus.example" },
          { "x-bus-token": "right-token", origin: "https://page.example" },
        ];
        for (const headers of rights) expect(await answered(headers), `${door} ${JSON.stringify(headers)}`).toBe(200);
        const nones = [
          {},
          { "x-bus-token": "" },
          { authorization: "Basic cmlnaHQtdG9rZW4=" },
          { authorization: "right-token" },
        ];
        for (const headers of nones)
          expect(await answered(headers as never), `${door} ${JSON.stringify(headers)}`).toBe("401 TOKEN_MISSING");
        const wrongs = ["wrong", "right-toke", "right-token2", "RIGHT-TOKEN"];
        for (const wrong of wrongs)
          expect(await answered({ "x-bus-token": wrong }), `${door} ${wrong}`).toBe("401 TOKEN_INVALID");
      }
    }
    expect((await overHttp1(bus.port)({ path: "/healthz", method: "GET" })).status).toBe(200);
  });

  test("without a token only this machine's own names, and no foreign page", async () => {
    const bus = await startBus();
    const statusOf = async (call: { path: string; method: string; body?: string }, headers: Record<string, string>) => {
      const reply = await overHttp1(bus.port)({ ...call, headers });
      if (reply.status === 403) expect(reasonOf(reply)).toBe("FOREIGN_ORIGIN");
      return reply.status;
    };
    const own = [
      "localhost",
      "localhost:8091",
      "LOCALHOST",
      "127.0.0.1",
      "127.9.9.9:80",
      "[::1]",
      "[::1]:8091",
      "bus.localhost",
    ];
    const foreign = [
      "bus.example",
      "localhost.example",
      "127.0.0.1.example",
      "192.168.1.2",
      "0.0.0.0",
      "[::2]",
      "169.254.169.254",
      "localhost.",
      "xn--80ak6aa92e.com",
    ];
    for (const [door, call] of Object.entries(doors)) {
      for (const host of own) expect(await statusOf(call, { host }), `${door} ${host}`).toBe(200);
      for (const host of foreign) expect(await statusOf(call, { host }), `${door} ${host}`).toBe(403);
      for (const host of own)
        expect(await statusOf(call, { origin: `http://${host}` }), `${door} from ${host}`).toBe(200);
      for (const origin of [...foreign.map((host) => `https://${host}`), "null", "file://", "chrome-extension://abc"]) {
        expect(await statusOf(call, { origin }), `${door} from ${origin}`).toBe(403);
      }
    }
  });
});
