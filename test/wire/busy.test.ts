/**
 * More calls at once than `--max-calls`: those beyond it are told to come back, at once and without a trace, whoever waits
 * for mail waits on, and afterwards all is as before.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import Database from "better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { type BusProcess, spawnBus } from "../start-bus.ts";
import { clientsInEveryProtocol } from "./every-protocol.ts";
import { overHttp1, overHttp2 } from "./http-calls.ts";
import { callIn, connectError } from "./rpc-forms.ts";

/** For what comes in a moment, also on a busy machine. */
const PATIENT = { timeout: 10_000 };

/** What is held back for longer than this was queued, not refused; the store itself gives up after 5 s. */
const AT_ONCE_MS = 2000;

/** Holds up every write, as a slow disk does, until it is called. */
function holdWrites({ folder }: BusProcess): () => void {
  const db = new Database(`${folder}/bus.db`);
  onTestFinished(() => void db.close());
  db.exec("begin immediate");
  return () => void db.exec("rollback");
}

const bodiesOf = async (bus: BusProcess, agent: string): Promise<string[]> => {
  const { messages } = await bus.ok("PullInbox", { agent, maxMessages: 1000 });
  return messages.map(({ body }: { body: string }) => body);
};

/** Sends until it is taken: a look at the bus at the same moment may have had the last place. */
async function sendAtLast(bus: BusProcess, body: string): Promise<void> {
  for (;;) {
    const { status, body: said } = await bus.call("Send", { from: "joe", to: "jack", body, requestId: body });
    if (status === 200) return;
    expect(said.message).toMatch(/^BUSY: /);
  }
}

/** Those that were answered so far. */
function answeredOf<T>(calls: readonly Promise<T>[]): () => T[] {
  const answered: T[] = [];
  for (const call of calls) void call.then((one) => answered.push(one));
  return () => answered;
}

describe("calls beyond --max-calls", () => {
  test("that come at once are refused in every protocol, not queued, and nothing of them is stored", async () => {
    const MAX = 4;
    const bus = await spawnBus({ maxCalls: String(MAX) });
    for (const [protocol, client] of Object.entries(clientsInEveryProtocol(bus))) {
      const name = protocol.toLowerCase().replace(/[^a-z0-9]+/g, "-");
      const send = async (n: number) => {
        const request = { sender: `${name}-${n}`, recipient: name, body: `${n}`, requestId: `r-${n}` };
        const outcome = await client.send(request).catch((error: unknown) => ConnectError.from(error));
        return { n, outcome };
      };
      const numbers = Array.from({ length: 5 * MAX }, (_, n) => n);
      const release = holdWrites(bus);
      const calls = numbers.map(send);
      const answered = answeredOf(calls);
      await expect.poll(() => answered().length, { timeout: AT_ONCE_MS, message: protocol }).toBe(4 * MAX);
      release();
      const outcomes = await Promise.all(calls);
      const refused = outcomes.filter(({ outcome }) => outcome instanceof ConnectError).map(({ n }) => n);
      const taken = numbers.filter((n) => !refused.includes(n));
      expect(taken, protocol).toHaveLength(MAX);
      for (const { outcome } of outcomes) {
        if (!(outcome instanceof ConnectError)) continue;
        expect([Code[outcome.code], outcome.rawMessage], protocol).toEqual([
          "Unavailable",
          expect.stringMatching(/^BUSY: .* 4 calls .*request_id/),
        ]);
        expect(outcome.findDetails(ErrorInfoSchema)[0]?.reason, protocol).toBe("BUSY");
        expect(outcome.findDetails(RetryInfoSchema)[0]?.retryDelay, protocol).toMatchObject({ seconds: 1n });
        expect(outcome.metadata.get("retry-after"), protocol).toBe("1");
      }
      // Neither a message, nor an agent, nor a key: what is repeated is stored, as if for the first time.
      expect((await bodiesOf(bus, name)).toSorted(), protocol).toEqual(taken.map(String).toSorted());
      const senders = (await bus.ok("ListAgents", { query: `${name}-`, includeUnregistered: true })).agents;
      expect(senders, protocol).toHaveLength(MAX);
      for (const n of refused) expect((await send(n)).outcome, protocol).toMatchObject({ deduplicated: false });
      for (const n of taken) expect((await send(n)).outcome, protocol).toMatchObject({ deduplicated: true });
      expect((await bodiesOf(bus, name)).toSorted(), protocol).toEqual(numbers.map(String).toSorted());
    }
  });

  test("are answered 503 with retry-after before their body is there, at the plain-HTTP pair too, and health goes on", async () => {
    const bus = await spawnBus({ maxCalls: "1" });
    await bus.ok("Send", { from: "joe", to: "jack", body: "first" });
    const release = holdWrites(bus);
    const stuck = sendAtLast(bus, "second");
    const look = callIn("connect json", "ListAgents", "{}");
    await expect.poll(async () => (await overHttp1(bus.port)(look)).status, PATIENT).toBe(503);
    const doors = {
      Send: callIn("connect json", "Send", '{"from":"joe","to":"jack","body":"refused"}'),
      PullInbox: callIn("connect json", "PullInbox", '{"agent":"jack","waitSeconds":20}'),
      "no JSON at all": callIn("connect json", "Send", "{"),
      "/api/send": { path: "/api/send", body: '{"from":"joe","to":"jack","body":"refused"}' },
      "/api/inbox": { path: "/api/inbox/jack?mark_read=true", method: "GET" },
    };
    for (const [door, call] of Object.entries(doors)) {
      for (const over of [overHttp1(bus.port), overHttp2(bus.port)]) {
        const reply = await over(call);
        const { code, message } = connectError(reply.body.toString());
        expect([reply.status, code, reply.headers["retry-after"]], door).toEqual([503, "unavailable", "1"]);
        expect(message, door).toMatch(/^BUSY: /);
      }
    }
    expect((await overHttp1(bus.port)({ path: "/healthz", method: "GET" })).status).toBe(200);
    release();
    await stuck;
    expect(await bodiesOf(bus, "jack")).toEqual(["first", "second"]);
  });
});

describe("pulls that wait", () => {
  test("take no place of those who work, are not cut when all places are taken, and get what comes", async () => {
    const bus = await spawnBus({ maxCalls: "2" });
    const names = Array.from({ length: 20 }, (_, n) => `waiter-${n}`);
    const [client] = Object.values(clientsInEveryProtocol(bus));
    const compat = overHttp2(bus.port);
    const wait = async (agent: string, n: number): Promise<string | undefined> => {
      if (n % 2 === 0) return (await client?.pullInbox({ agent, waitSeconds: 20 }))?.messages[0]?.body;
      const reply = await compat({ path: `/api/inbox/${agent}?wait_seconds=20`, method: "GET" });
      return JSON.parse(reply.body.toString()).messages?.[0]?.body ?? reply.body.toString();
    };
    // Their first look registers them; then they come one after another, as a pull that begins takes a place for a moment.
    for (const agent of names) await bus.ok("RegisterAgent", { agent });
    const waiting: Promise<string | undefined>[] = [];
    for (const [n, agent] of names.entries()) {
      waiting.push(wait(agent, n));
      await expect.poll(async () => (await bus.call("ListAgents", {})).status, PATIENT).toBe(200);
    }
    const answered = answeredOf(waiting);

    const release = holdWrites(bus);
    const stuck = ["one", "two"].map((body) => sendAtLast(bus, body));
    await expect.poll(async () => (await bus.call("ListAgents", {})).status, PATIENT).toBe(503);
    expect(answered()).toEqual([]);
    release();
    await Promise.all(stuck);

    for (const agent of names) await bus.ok("Send", { from: "joe", to: agent, body: `to ${agent}` });
    expect(await Promise.all(waiting)).toEqual(names.map((agent) => `to ${agent}`));
  });
});
