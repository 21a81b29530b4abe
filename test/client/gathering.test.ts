/** What is sent at the same time goes together, in order, and each caller has an answer of its own: against a real bus. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Sent } from "#dist/client/index.js";
import { startBus, type TestBus, temporaryFolder } from "../start-bus.ts";
import { clientFor } from "./client-for.ts";
import { startFailingProxy } from "./failing-proxy.ts";

let bus: TestBus;
beforeAll(async () => {
  bus = await startBus({}, temporaryFolder(afterAll), afterAll);
});

async function joeCounted(fateOf?: Parameters<typeof startFailingProxy>[1]) {
  const proxy = await startFailingProxy(bus.port, fateOf);
  return { joe: clientFor(proxy), calls: proxy.calls };
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

async function bodiesOf(agent: string): Promise<string[]> {
  const { messages } = await bus.ok("PullInbox", { agent, maxMessages: 1000, maxBytes: 3 << 20 });
  return messages.map(({ body }: { body: string }) => body);
}

function idsOf(sent: readonly Sent[]): string[] {
  return sent.map((one) => (one.status === "sent" ? one.id : ""));
}

describe("messages that are sent at the same time", () => {
  test("go in one request, and each caller gets the id of its own", async () => {
    const { joe, calls } = await joeCounted();
    const sent = await Promise.all(range(100).map((i) => joe.send({ to: "jack", body: `${i}` })));
    expect(calls).toEqual(["SendBatch"]);
    const { messages } = await bus.ok("PullInbox", { agent: "jack", maxMessages: 1000 });
    expect(messages.map(({ id, body }: { id: string; body: string }) => [id, body])).toEqual(
      idsOf(sent).map((id, i) => [id, `${i}`]),
    );
  });

  test("while a request is on its way go in the next one", async () => {
    const { joe, calls } = await joeCounted();
    const callers = range(32).map(async (caller) => {
      for (const turn of range(4)) await joe.send({ to: `kim-${caller}`, body: `${turn}` });
    });
    await Promise.all(callers);
    // 128 messages; in the best case 4 requests.
    expect(calls.length).toBeLessThan(16);
    for (const caller of [0, 31]) expect(await bodiesOf(`kim-${caller}`)).toEqual(["0", "1", "2", "3"]);
  });

  test("lie in the inbox in the order in which they were sent, a broadcast at its place", async () => {
    const { joe, calls } = await joeCounted();
    await bus.ok("RegisterAgent", { agent: "liz" });
    const sent = range(300).map((i) =>
      i % 100 === 50 ? joe.broadcast({ body: `${i}` }) : joe.send({ to: "liz", body: `${i}` }),
    );
    await Promise.all(sent);
    expect(await bodiesOf("liz")).toEqual(range(300).map(String));
    // A broadcast goes alone.
    expect(calls.join(" ")).toBe("SendBatch Send SendBatch Send SendBatch Send SendBatch");
  });

  test("to ALL go alone, as the broadcasts that they are", async () => {
    const { joe, calls } = await joeCounted();
    const [one, all] = await Promise.all([joe.send({ to: "moe", body: "x" }), joe.send({ to: "all", body: "y" })]);
    expect(one).toMatchObject({ recipientCount: 1 });
    expect(all).toMatchObject({ recipientKnown: true });
    expect(calls).toEqual(["Send", "Send"]);
  });

  test("fail alone: a bad one leaves the others as they are", async () => {
    const { joe } = await joeCounted();
    const sent = await Promise.allSettled([
      joe.send({ to: "nat", body: "one" }),
      joe.send({ to: "No Name", body: "two" }),
      joe.send({ to: "nat", body: "x".repeat(300_000) }),
      joe.send({ to: "nat", body: "half \ud83d" }),
      joe.send({ to: "nat", body: "three", ttlSeconds: 1.5 }),
      joe.send({ to: "nat", body: "four" }),
    ]);
    expect(sent).toMatchObject([
      { status: "fulfilled" },
      { reason: { code: "invalid_argument", reason: "INVALID_FIELD", violations: [{ field: "to" }] } },
      { reason: { code: "invalid_argument", reason: "BODY_TOO_LARGE", violations: [{ field: "body" }] } },
      { reason: { code: "invalid_argument", reason: "INVALID_FIELD", violations: [{ field: "body" }] } },
      { reason: { code: "invalid_argument", reason: "INVALID_FIELD" } },
      { status: "fulfilled" },
    ]);
    expect(await bodiesOf("nat")).toEqual(["one", "four"]);
  });

  test("are more than one request takes: then they go in several, by number and by size", async () => {
    const { joe, calls } = await joeCounted();
    await Promise.all(range(1500).map((i) => joe.send({ to: "oda", body: `${i}` })));
    expect(calls).toHaveLength(2);
    const large = "ö".repeat(100_000);
    await Promise.all(range(40).map(() => joe.send({ to: "pia", body: large })));
    expect(calls.length).toBeGreaterThan(3);
    const { agents } = await bus.ok("ListAgents", { query: "pia", includeUnregistered: true });
    expect(agents).toMatchObject([{ unreadCount: 40 }]);
  });

  test("are stored once each when their answer is lost: the batch is repeated with the same request_ids", async () => {
    const { joe, calls } = await joeCounted((_, call) => (call === 1 ? "cut after" : undefined));
    const sent = await Promise.all(range(20).map((i) => joe.send({ to: "quin", body: `${i}` })));
    expect(calls).toEqual(["SendBatch", "SendBatch"]);
    expect(sent.every((one) => one.status === "sent" && one.deduplicated)).toBe(true);
    expect(await bodiesOf("quin")).toEqual(range(20).map(String));
  });

  test("can be taken back while they wait, and then never leave", async () => {
    const { joe } = await joeCounted();
    const stop = new AbortController();
    const first = joe.send({ to: "ron", body: "first" });
    const second = joe.send({ to: "ron", body: "second" }, { signal: stop.signal });
    stop.abort(new Error("changed my mind"));
    await expect(second).rejects.toThrow("changed my mind");
    await first;
    expect(await bodiesOf("ron")).toEqual(["first"]);
  });

  test("can be taken back while they are on their way, and are not sent again behind a rate limit then", async () => {
    const limited = await startBus({ rateLimit: "1/s" });
    const stop = new AbortController();
    const network = await startFailingProxy(limited.port, () => void stop.abort(new Error("changed my mind")));
    const joe = clientFor(network);
    const first = joe.send({ to: "ron", body: "first" });
    const second = joe.send({ to: "ron", body: "second" }, { signal: stop.signal });
    await expect(second).rejects.toThrow("changed my mind");
    await first;
    await joe.send({ to: "ron", body: "third" });
    const { messages } = await limited.ok("PullInbox", { agent: "ron" });
    expect(messages).toMatchObject([{ body: "first" }, { body: "third" }]);
  });

  test("are settled before the client is closed", async () => {
    const { joe } = await joeCounted();
    const sent = joe.send({ to: "sue", body: "x" });
    await joe.close();
    expect(await sent).toMatchObject({ status: "sent" });
  });
});

test("a lone sender's message goes at once, as a plain Send", async () => {
  const { joe, calls } = await joeCounted();
  await joe.send({ to: "tim", body: "one" });
  await joe.send({ to: "tim", body: "two" });
  expect(calls).toEqual(["Send", "Send"]);
});

test("a sender who waits for the end of its rate limit holds nobody else up, and its order is kept", async () => {
  const limited = clientFor(await startBus({ rateLimit: "2/s" }));
  const answered: string[] = [];
  const began = performance.now();
  const send = async (from: string, body: string) => {
    await limited.send({ from, to: "jack", body });
    answered.push(body);
  };
  await Promise.all([...range(4).map((i) => send("joe", `joe ${i}`)), ...range(2).map((i) => send("kim", `kim ${i}`))]);
  expect(performance.now() - began).toBeGreaterThan(900);
  expect(answered).toEqual(["joe 0", "joe 1", "kim 0", "kim 1", "joe 2", "joe 3"]);
});

test("a reply goes to the sender, names what it answers, and says Re: once", async () => {
  const { joe } = await joeCounted();
  await joe.send({ from: "uma", to: "joe", subject: "Review", body: "?" });
  const question = (await joe.rpc.pullInbox({ agent: "joe" })).messages.at(-1);
  if (question === undefined) throw new Error("no mail");
  await joe.reply(question, { body: "yes" });
  await joe.reply({ ...question, subject: "Re: Review" }, { body: "again" });
  await joe.reply({ ...question, subject: "ö".repeat(512) }, { body: "long" });
  const { messages } = await bus.ok("PullInbox", { agent: "uma" });
  expect(messages).toMatchObject([
    { from: "joe", to: "uma", subject: "Re: Review", body: "yes", inReplyTo: question.id },
    { subject: "Re: Review", body: "again" },
    { subject: `Re: ${"ö".repeat(510)}`, body: "long" },
  ]);
});

test("who sends must be known: from, or the client's agent", async () => {
  const nobody = clientFor(bus, { agent: undefined });
  await expect(nobody.send({ to: "jack", body: "x" })).rejects.toThrow(/say who sends.*AGENTBUS_AGENT/);
  expect(await nobody.send({ from: "joe", to: "vera", body: "x" })).toMatchObject({ status: "sent" });
});
