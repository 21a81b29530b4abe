/**
 * Pulls that wait: whom a message wakes, who gets it when several wait, and what becomes of it when the one who waited has
 * hung up or the bus stops.
 */
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { clientOf, spawnBus, startBus, type TestBus } from "../start-bus.ts";
import { overHttp2 } from "./http-calls.ts";
import { callHeaders, END_HEADERS, END_STREAM, frame, PREFACE, Type, u32 } from "./http2-frames.ts";
import { answersIn, RawSocket } from "./raw-socket.ts";
import { callIn, connectError } from "./rpc-forms.ts";

/** For what comes in a moment, also on a busy machine. */
const PATIENT = { timeout: 10_000 };

interface Pulled {
  readonly messages: readonly { readonly id: string; readonly body: string; readonly deliveryAttempt?: number }[];
  readonly leaseId?: string;
}

/** Long enough for a call to be under way on a busy machine. */
const UNDER_WAY_MS = 150;
/** Far less than any wait here. */
const SOON_MS = 3000;

const pull = (bus: TestBus, agent: string, more: object = {}): Promise<Pulled> =>
  bus.ok("PullInbox", { agent, waitSeconds: 20, ...more });
const send = (bus: TestBus, to: string, body = ""): Promise<{ id: string }> =>
  bus.ok("Send", { from: "joe", to, body });

async function soon<T>(promise: Promise<T>): Promise<T> {
  const late = sleep(SOON_MS).then(() => {
    throw new Error(`nothing within ${SOON_MS} ms`);
  });
  return Promise.race([promise, late]);
}

const deliveryOf = async (bus: TestBus, messageId: string) =>
  (await bus.ok("GetReceipt", { messageId })).receipts[0] as { state: string; deliveryAttempt: number };

/** PullInbox as bytes, in both versions of HTTP. */
const waiting: Readonly<Record<string, (agent: string, more?: object) => Buffer>> = {
  "HTTP/1.1": (agent, more) => {
    const body = JSON.stringify({ agent, waitSeconds: 20, ...more });
    return Buffer.from(
      `POST /agentbus.v1.MessageBus/PullInbox HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
  },
  "HTTP/2": (agent, more) =>
    Buffer.concat([
      PREFACE,
      frame(Type.SETTINGS, 0, 0),
      frame(Type.HEADERS, END_HEADERS, 1, callHeaders("PullInbox", "application/json")),
      frame(Type.DATA, END_STREAM, 1, Buffer.from(JSON.stringify({ agent, waitSeconds: 20, ...more }))),
    ]),
  "HTTP/1.1, /api/inbox": (agent) =>
    Buffer.from(`GET /api/inbox/${agent}?wait_seconds=20&mark_read=true HTTP/1.1\r\nHost: localhost\r\n\r\n`),
};

describe("a pull that waits", () => {
  test("is answered when mail comes, in every way that mail comes", async () => {
    const bus = await startBus();
    await bus.ok("RegisterAgent", { agent: "jack" });
    const comings: Record<string, () => Promise<unknown>> = {
      Send: () => send(bus, "jack"),
      SendBatch: () => bus.ok("SendBatch", { requests: [{ from: "joe", to: "jack" }] }),
      Broadcast: () => bus.ok("Broadcast", { from: "joe" }),
      "Send to ALL": () => send(bus, "all"),
      "/api/send": () => fetch(`${bus.url}/api/send`, { method: "POST", body: '{"from":"joe","to":"JACK"}' }),
    };
    for (const [what, come] of Object.entries(comings)) {
      for (const mode of [{}, { leaseSeconds: 60 }, { markRead: true }]) {
        const waiter = pull(bus, "jack", mode);
        await sleep(30);
        await come();
        const { messages } = await soon(waiter);
        expect(messages, `${what}, ${JSON.stringify(mode)}`).toHaveLength(1);
        await bus.ok("Ack", { agent: "jack", messageIds: messages.map(({ id }) => id) });
      }
    }
    const compat = fetch(`${bus.url}/api/inbox/jack?wait_seconds=20`).then((answer) => answer.json());
    await sleep(30);
    await send(bus, "jack", "to the plain pair");
    expect(await soon(compat)).toMatchObject({ messages: [{ body: "to the plain pair" }] });
  });

  test("is answered at once when there is mail, and empty when its time is over", async () => {
    const bus = await startBus();
    await send(bus, "jack", "there already");
    expect((await soon(pull(bus, "jack"))).messages).toHaveLength(1);
    const began = performance.now();
    expect((await pull(bus, "nobody", { waitSeconds: 1 })).messages).toEqual([]);
    expect(performance.now() - began).toBeGreaterThan(950);
  });

  test("is not woken by mail for another, nor by a look of another", async () => {
    const bus = await startBus();
    const waiter = pull(bus, "jack", { waitSeconds: 1 });
    await send(bus, "jac");
    await send(bus, "jack2");
    await bus.ok("PullInbox", { agent: "jack" });
    expect((await waiter).messages).toEqual([]);
  });

  test("gets each message alone, when several lease from one inbox", async () => {
    const bus = await startBus();
    const count = 8;
    const waiters = Array.from({ length: count }, () => pull(bus, "team", { leaseSeconds: 60, maxMessages: 1 }));
    await sleep(UNDER_WAY_MS);
    for (let n = 0; n < count; n++) await send(bus, "team", `${n}`);
    const got = (await soon(Promise.all(waiters))).flatMap(({ messages }) => messages.map(({ body }) => body));
    expect(got.sort()).toEqual(Array.from({ length: count }, (_, n) => `${n}`));
    // One message, many waiters: all but one go on waiting, and get what comes later.
    const few = Array.from({ length: 3 }, () => pull(bus, "team", { leaseSeconds: 60 }));
    await sleep(UNDER_WAY_MS);
    await send(bus, "team", "first");
    await sleep(UNDER_WAY_MS);
    await send(bus, "team", "second");
    await send(bus, "team", "third");
    const later = (await soon(Promise.all(few))).flatMap(({ messages }) => messages.map(({ body }) => body));
    expect(later.sort()).toEqual(["first", "second", "third"]);
  });

  test("is woken by a lease that runs out, by one that is given back, and by a redrive", async () => {
    const bus = await startBus({ maxAttempts: "3" });
    const { id } = await send(bus, "jack", "again");
    await bus.ok("PullInbox", { agent: "jack", leaseSeconds: 1 });
    const second = await soon(pull(bus, "jack", { leaseSeconds: 60 }));
    expect(second.messages).toEqual([expect.objectContaining({ id, deliveryAttempt: 2 })]);

    const third = pull(bus, "jack", { leaseSeconds: 1 });
    await sleep(UNDER_WAY_MS);
    await bus.ok("ModifyLease", { agent: "jack", leaseId: second.leaseId, leaseSeconds: 0 });
    // Given back: that attempt does not count.
    expect((await soon(third)).messages).toEqual([expect.objectContaining({ id, deliveryAttempt: 2 })]);

    await soon(pull(bus, "jack", { leaseSeconds: 1 }));
    await expect.poll(async () => (await deliveryOf(bus, id)).state, PATIENT).toBe("DELIVERY_STATE_DEAD");
    const last = pull(bus, "jack");
    await sleep(UNDER_WAY_MS);
    await bus.ok("RedriveDeadLetters", { agent: "jack" });
    expect((await soon(last)).messages).toEqual([expect.objectContaining({ id })]);
  });
});

test("a pull that waits is woken at the new end of a lease that is shortened meanwhile", async () => {
  const bus = await startBus();
  const { id } = await send(bus, "jack");
  const { leaseId } = await pull(bus, "jack", { leaseSeconds: 60 });
  const waiting = pull(bus, "jack", { leaseSeconds: 60 });
  await sleep(UNDER_WAY_MS);
  await bus.ok("ModifyLease", { agent: "jack", leaseId, leaseSeconds: 1 });
  expect((await soon(waiting)).messages).toEqual([expect.objectContaining({ id, deliveryAttempt: 2 })]);
});

describe("a caller who hung up", () => {
  const leaves: Record<string, (socket: RawSocket) => void> = {
    "closes the connection": (socket) => socket.destroy(),
    "resets the connection": (socket) => socket.reset(),
    "ends his side of it": (socket) => void socket.finish(),
    "resets the stream": (socket) => void socket.send(frame(Type.RST_STREAM, 0, 1, u32(8))),
  };

  for (const [version, bytes] of Object.entries(waiting)) {
    for (const [how, leave] of Object.entries(leaves)) {
      if (how === "resets the stream" && version !== "HTTP/2") continue;
      test(`and ${how} while he waits over ${version} leases nothing`, async () => {
        const bus = await startBus();
        const socket = await RawSocket.open(bus.port, { half: true });
        socket.send(bytes("jack", { leaseSeconds: 60 }));
        await sleep(UNDER_WAY_MS);
        leave(socket);
        await sleep(UNDER_WAY_MS);
        const { id } = await send(bus, "jack", "for whoever is there");
        await sleep(UNDER_WAY_MS);
        expect(await deliveryOf(bus, id)).toMatchObject({ state: "DELIVERY_STATE_UNREAD", deliveryAttempt: 0 });
        expect((await soon(pull(bus, "jack", { leaseSeconds: 60 }))).messages).toEqual([
          expect.objectContaining({ id, deliveryAttempt: 1 }),
        ]);
      });
    }
  }

  test("at the very moment that mail comes has either all of it or nothing, and never an attempt too many", async () => {
    const bus = await startBus();
    for (let n = 0; n < 40; n++) {
      const agent = `racer-${n}`;
      const [version = "", bytes] = Object.entries(waiting)[n % 2] ?? [];
      const socket = await RawSocket.open(bus.port, { half: true });
      socket.send(bytes?.(agent, { leaseSeconds: 60 }) ?? "");
      await sleep(30);
      const sent = send(bus, agent, "race");
      await sleep(n % 5);
      socket.destroy();
      const { id } = await sent;
      const has = socket.received.includes(id);
      await sleep(50);
      const { state, deliveryAttempt } = await deliveryOf(bus, id);
      // What the kernel had taken from the bus already counts as handed over, whether or not it was read.
      const whole = state === "DELIVERY_STATE_LEASED" && deliveryAttempt === 1;
      const nothing = state === "DELIVERY_STATE_UNREAD" && deliveryAttempt === 0;
      expect(has ? whole : whole || nothing, `${version}: ${state}, attempt ${deliveryAttempt}, received: ${has}`).toBe(
        true,
      );
    }
  }, 60_000);

  test("does not take a lease from the one who repeated his pull and has its answer", async () => {
    const bus = await startBus();
    // As JSON each of these characters is six bytes: more than the kernel keeps for one who does not read.
    for (let n = 0; n < 6; n++) await send(bus, "jack", "\u0001".repeat(250_000));
    const request = { leaseSeconds: 60, requestId: "pull-1", maxBytes: 3_000_000 };
    const stuck = await RawSocket.open(bus.port);
    stuck.stopReading().send((waiting["HTTP/1.1"] as (agent: string, more: object) => Buffer)("jack", request));
    await expect.poll(async () => (await pull(bus, "jack", { waitSeconds: 0 })).messages.length, PATIENT).toBe(0);
    const repeated = await pull(bus, "jack", request);
    expect(repeated.messages).toHaveLength(6);
    stuck.reset();
    await sleep(UNDER_WAY_MS);
    expect((await pull(bus, "jack", { waitSeconds: 0, leaseSeconds: 60 })).messages).toEqual([]);
    const messageIds = repeated.messages.map(({ id }) => id);
    expect(await bus.ok("Ack", { agent: "jack", leaseId: repeated.leaseId, messageIds })).toMatchObject({
      ackedCount: 6,
    });
  });
});

test("a repeated pull whose caller hung up meanwhile takes nothing from the one who has the lease", async () => {
  const bus = await startBus();
  const { id } = await send(bus, "jack", "held");
  const request = { leaseSeconds: 60, requestId: "pull-1", waitSeconds: 0 };
  const held = await pull(bus, "jack", request);
  expect(held.messages).toHaveLength(1);
  // Whoever writes to the file by hand holds up the repeat until its caller is gone.
  const db = new Database(`${bus.folder}/bus.db`);
  onTestFinished(() => void db.close());
  db.exec("begin immediate");
  const repeat = await RawSocket.open(bus.port);
  repeat.send((waiting["HTTP/1.1"] as (agent: string, more: object) => Buffer)("jack", request));
  await sleep(UNDER_WAY_MS);
  repeat.destroy();
  await sleep(UNDER_WAY_MS);
  db.exec("rollback");
  await sleep(UNDER_WAY_MS);
  expect((await pull(bus, "jack", { leaseSeconds: 60, waitSeconds: 0 })).messages).toEqual([]);
  expect(await deliveryOf(bus, id)).toMatchObject({ state: "DELIVERY_STATE_LEASED", deliveryAttempt: 1 });
});

describe("a shutdown", () => {
  test("answers every pull that waits, empty, within five seconds, and ends well", async () => {
    const bus = await spawnBus();
    const call2 = overHttp2(bus.port);
    const waiters = [
      ...Array.from({ length: 20 }, (_, n) =>
        bus.call("PullInbox", { agent: `w${n}`, waitSeconds: 50 }).then(({ status, body }) => [status, body.messages]),
      ),
      ...Array.from({ length: 20 }, (_, n) =>
        call2(callIn("connect json", "PullInbox", JSON.stringify({ agent: `v${n}`, waitSeconds: 50 }))).then(
          ({ status, body }) => [status, JSON.parse(body.toString()).messages],
        ),
      ),
      fetch(`${bus.url}/api/inbox/jack?wait_seconds=50&mark_read=true`).then(async (answer) => [
        answer.status,
        ((await answer.json()) as Pulled).messages,
      ]),
    ];
    await sleep(500);
    // Callers who send nothing more must not hold it up.
    const idle = await Promise.all(
      ["", "GET /hea", "PRI * HTTP/2.0\r\n", PREFACE].map(async (bytes) =>
        (await RawSocket.open(bus.port)).send(bytes),
      ),
    );
    const began = performance.now();
    const stopped = bus.kill("SIGTERM");
    expect(await Promise.all(waiters)).toEqual(Array.from({ length: 41 }, () => [200, []]));
    await stopped;
    expect(performance.now() - began).toBeLessThan(5000);
    expect(bus.process.exitCode).toBe(0);
    for (const socket of idle) expect(await socket.until((it) => it.ended, 1000)).toBe(true);
    expect(bus.log()).not.toMatch(/"level":[56]0/);
  }, 60_000);

  test("lets a Send that is under way finish, and refuses a new call on the same connection", async () => {
    const bus = await spawnBus();
    const mail = JSON.stringify({ from: "joe", to: "jack", body: "half way at the signal" });
    const head = (length: number) =>
      `POST /agentbus.v1.MessageBus/Send HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
    const [first, second] = await Promise.all([RawSocket.open(bus.port), RawSocket.open(bus.port)]);
    first.send(head(mail.length) + mail.slice(0, 20));
    // The same over HTTP/2, on a stream of its own.
    const frames = (stream: number, body: string) => [
      frame(Type.HEADERS, END_HEADERS, stream, callHeaders("Send", "application/json")),
      frame(Type.DATA, END_STREAM, stream, Buffer.from(body)),
    ];
    const [open2 = Buffer.alloc(0), rest2 = Buffer.alloc(0)] = frames(1, mail.replace("jack", "jill"));
    second
      .send(PREFACE)
      .send(frame(Type.SETTINGS, 0, 0))
      .send(open2);
    await sleep(UNDER_WAY_MS);
    const stopped = bus.kill("SIGTERM");
    await sleep(UNDER_WAY_MS);
    expect(bus.process.exitCode).toBeNull();
    // The rest of the body, and another request behind it.
    first.send(`${mail.slice(20)}${head(mail.length)}${mail}`);
    second.send(rest2).send(Buffer.concat(frames(3, mail)));
    await first.until((it) => it.ended, 3000);
    await second.until((it) => it.ended, 3000);
    await stopped;
    const { answers } = answersIn(first.received);
    expect(answers[0]).toMatchObject({ status: 200, body: expect.stringContaining('"id"') });
    if (answers.length > 1) {
      expect(answers[1]?.status).toBe(503);
      expect(answers[1]?.headers["retry-after"]).toBe("1");
      expect(connectError(answers[1]?.body ?? "").message).toMatch(/^DRAINING: /);
    }
    expect(second.received.includes('"id"')).toBe(true);

    const again = await spawnBus({}, { folder: bus.folder });
    for (const agent of ["jack", "jill"]) {
      const { messages } = await again.ok("PullInbox", { agent });
      expect(messages, agent).toEqual([expect.objectContaining({ body: "half way at the signal" })]);
    }
  }, 60_000);

  test("answers DRAINING to calls that come while others finish", async () => {
    const bus = await spawnBus();
    const mail = '{"from":"joe","to":"jack"}';
    const send = `POST /api/send HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${mail.length}\r\n\r\n`;
    // Half a body keeps the connection alive past the signal.
    const socket = await RawSocket.open(bus.port);
    socket.send(send + mail.slice(0, 5));
    await sleep(UNDER_WAY_MS);
    const stopped = bus.kill("SIGTERM");
    await sleep(UNDER_WAY_MS);
    socket.send(`${mail.slice(5)}${send}${mail}GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await socket.until((it) => answersIn(it.received).answers.length >= 3 || it.ended, 3000);
    await stopped;
    const { answers } = answersIn(socket.received);
    expect(answers.map(({ status }) => status)).toEqual([200, 503, 503]);
    expect(connectError(answers[1]?.body ?? "")).toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/^DRAINING: /),
    });
    expect(JSON.parse(answers[2]?.body ?? "")).toEqual({ status: "draining" });
  }, 60_000);
});

describe("a thousand pulls that wait", () => {
  test("are woken each by its own mail, and by no other", async () => {
    const bus = await startBus();
    const client = clientOf(bus);
    const count = 1000;
    const answered: string[] = [];
    const call2 = overHttp2(bus.port);
    const waiters = Array.from({ length: count }, async (_, n) => {
      const agent = `w-${n}`;
      // Half of them on one connection, half with one each.
      const messages =
        n % 2 === 0
          ? (
              JSON.parse(
                (
                  await call2(
                    callIn("connect json", "PullInbox", JSON.stringify({ agent, waitSeconds: 50, leaseSeconds: 60 })),
                  )
                ).body.toString(),
              ) as Pulled
            ).messages
          : (await client.pullInbox({ agent, waitSeconds: 50, leaseSeconds: 60 })).messages;
      answered.push(agent);
      return messages.map(({ body }) => body);
    });
    await expect
      .poll(async () => (await bus.ok("ListAgents", { query: "w-", pageSize: 1000 })).agents.length, {
        timeout: 20_000,
      })
      .toBe(count);
    await sleep(500);
    for (const n of [7, 500, 998]) {
      await send(bus, `w-${n}`, `alone ${n}`);
      await expect.poll(() => answered.at(-1), PATIENT).toBe(`w-${n}`);
    }
    await sleep(UNDER_WAY_MS);
    expect(answered).toEqual(["w-7", "w-500", "w-998"]);
    await bus.ok("Broadcast", { from: "joe", body: "to all" });
    const bodies = await Promise.all(waiters);
    for (const [n, got] of bodies.entries()) {
      expect(got, `w-${n}`).toEqual([[7, 500, 998].includes(n) ? `alone ${n}` : "to all"]);
    }
  }, 60_000);
});
