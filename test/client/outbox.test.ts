/** What a client does while its bus is away: it keeps what is sent, and sends it once the bus is back, in order. */
import { renameSync, writeFileSync } from "node:fs";
import { setTimeout as delay, setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type BusClientOptions, BusRefusal, UnreachableError } from "#dist/client/index.js";
import { startBus, type TestBus, temporaryFolder } from "../start-bus.ts";
import { clientFor } from "./client-for.ts";
import { startCuttableProxy } from "./cuttable-proxy.ts";
import { startFailingProxy } from "./failing-proxy.ts";

/** Retries that are over soon, so that a test need not wait for them. */
const HASTY = { retryForMs: 200 };

async function joeWithOutbox(options: BusClientOptions = {}) {
  const bus = await startBus();
  const network = await startCuttableProxy(bus.port);
  const outbox = `${temporaryFolder()}/outbox.db`;
  const another = () => clientFor(network, { outbox, ...HASTY, ...options });
  return { bus, network, outbox, joe: another(), another };
}

async function jacksMail(bus: TestBus): Promise<string[]> {
  const { messages } = await bus.ok("PullInbox", { agent: "jack" });
  return messages.map(({ body }: { body: string }) => body);
}

const range = (count: number) => Array.from({ length: count }, (_, i) => `${i}`);

describe("while the bus is away", () => {
  test("what is sent is queued, never called sent; when the bus is back it arrives by itself, in order", async () => {
    const { bus, network, joe } = await joeWithOutbox();
    network.cut();
    const kept = [];
    for (const body of range(3)) kept.push(await joe.send({ to: "jack", body }));
    expect(kept).toMatchObject(
      [1, 2, 3].map((waiting) => ({ status: "queued", waiting, requestId: expect.any(String) })),
    );
    expect(kept[0]).not.toHaveProperty("id");
    network.mend();
    await expect.poll(() => jacksMail(bus)).toEqual(range(3));
  });

  test("what is sent at the same time is kept in the order of the calls", async () => {
    const { bus, network, joe } = await joeWithOutbox();
    network.cut();
    const sent = range(20).map((body) => joe.send({ to: "jack", body }));
    expect(await Promise.all(sent)).toMatchObject(range(20).map(() => ({ status: "queued" })));
    network.mend();
    await expect.poll(() => jacksMail(bus)).toEqual(range(20));
  });

  test("nothing overtakes a Send that failed: what waited behind it is kept behind it, though the bus is back", async () => {
    const bus = await startBus();
    const network = await startFailingProxy(bus.port, (_, call) => (call === 1 ? "cut before" : undefined));
    const joe = clientFor(network, { outbox: `${temporaryFolder()}/outbox.db`, retryForMs: 0 });
    const first = joe.send({ to: "jack", body: "0" });
    // The first is on its way now, and alone.
    await setImmediate();
    const second = joe.send({ to: "jack", body: "1" });
    expect(await Promise.all([first, second])).toMatchObject([{ status: "queued" }, { status: "queued" }]);
    await expect.poll(() => jacksMail(bus)).toEqual(["0", "1"]);
  });

  test("nothing overtakes a Send that failed among those that go one by one, because one of them is bad", async () => {
    const bus = await startBus();
    const network = await startFailingProxy(bus.port, (_, call) => (call === 2 ? "cut before" : undefined));
    const joe = clientFor(network, { outbox: `${temporaryFolder()}/outbox.db`, retryForMs: 0 });
    const sent = await Promise.allSettled([
      joe.send({ to: "jack", body: "bad", ttlSeconds: 1.5 }),
      ...range(4).map((body) => joe.send({ to: "jack", body })),
    ]);
    expect(sent).toMatchObject([
      { reason: { reason: "INVALID_FIELD" } },
      { value: { status: "sent" } },
      ...[1, 2, 3].map(() => ({ value: { status: "queued" } })),
    ]);
    await expect.poll(() => jacksMail(bus)).toEqual(range(4));
  });

  test("what was queued waits for the next program, whose next Send takes it along, in order", async () => {
    const { bus, network, joe, another } = await joeWithOutbox();
    network.cut();
    await joe.send({ to: "jack", body: "0" });
    await joe.close();
    network.mend();
    expect(await jacksMail(bus)).toEqual([]);
    expect(await another().send({ to: "jack", body: "1" })).toMatchObject({ status: "sent" });
    expect(await jacksMail(bus)).toEqual(["0", "1"]);
  });

  test("what was queued is sent by a program, too, that only reads", async () => {
    const { bus, network, joe, another } = await joeWithOutbox();
    network.cut();
    await joe.send({ to: "jack", body: "0" });
    await joe.close();
    network.mend();
    expect(await another().work("joe", () => {}, { once: true })).toMatchObject({ done: 0 });
    await expect.poll(() => jacksMail(bus)).toEqual(["0"]);
  });

  test("what was queued is tried even by a program that ends at once", async () => {
    const { bus, network, joe, another } = await joeWithOutbox();
    network.cut();
    await joe.send({ to: "jack", body: "0" });
    await joe.close();
    network.mend();
    const reader = another();
    await reader.work("joe", () => {}, { once: true });
    await reader.close();
    expect(await jacksMail(bus)).toEqual(["0"]);
  });

  test("what was queued is sent, too, where its file could not be read for a while", async () => {
    const { bus, network, joe, outbox } = await joeWithOutbox();
    network.cut();
    await joe.send({ to: "jack", body: "0" });
    renameSync(outbox, `${outbox}.away`);
    writeFileSync(outbox, "x".repeat(5000));
    network.mend();
    await delay(500);
    renameSync(`${outbox}.away`, outbox);
    await expect.poll(() => jacksMail(bus), { timeout: 15_000 }).toEqual(["0"]);
  });

  test("what another program left in the outbox is sent by one that goes on reading", async () => {
    const { bus, network, joe, another } = await joeWithOutbox();
    const stop = new AbortController();
    const reader = another();
    const worked: string[] = [];
    const working = reader.work("joe", ({ body }) => void worked.push(body), {
      waitSeconds: 1,
      signal: stop.signal,
      onError: () => {},
    });
    await bus.ok("Send", { from: "jack", to: "joe", body: "begun" });
    await expect.poll(() => worked).toEqual(["begun"]);
    network.cut();
    expect(await joe.send({ to: "jack", body: "0" })).toMatchObject({ status: "queued" });
    await joe.close();
    network.mend();
    await expect.poll(() => jacksMail(bus), { timeout: 15_000 }).toEqual(["0"]);
    stop.abort();
    await working;
  });

  test("a Send that could not be kept either tells that a bus which said unavailable may have it", async () => {
    const bus = await startBus();
    const answer = { status: 503, body: { code: "unavailable", message: "BUSY: try again" } };
    const network = await startFailingProxy(bus.port, () => answer);
    const file = `${temporaryFolder()}/file`;
    writeFileSync(file, "");
    const joe = clientFor(network, { outbox: `${file}/outbox.db`, retryForMs: 0 });
    const failure = await joe.send({ to: "jack", body: "0" }).catch((error) => error);
    expect(failure).toBeInstanceOf(UnreachableError);
    expect(failure).toMatchObject({ mayHaveArrived: true, message: expect.stringContaining("no draft could be kept") });
  });

  test("a Send whose answer was lost is kept with its request_id, and stored once", async () => {
    const bus = await startBus();
    const network = await startFailingProxy(bus.port, (_, call) => (call === 1 ? "cut after" : undefined));
    const joe = clientFor(network, { outbox: `${temporaryFolder()}/outbox.db`, retryForMs: 0 });
    const message = { to: "jack", body: "0", requestId: "mine" };
    expect(await joe.send(message)).toMatchObject({ status: "queued", requestId: "mine" });
    expect(await jacksMail(bus)).toEqual(["0"]);
    await expect.poll(() => network.calls.length).toBe(2);
    expect(await joe.send({ to: "jack", body: "1" })).toMatchObject({ status: "sent" });
    expect(await jacksMail(bus)).toEqual(["0", "1"]);
  });

  test("a broadcast is kept as well", async () => {
    const { bus, network, joe } = await joeWithOutbox();
    await bus.ok("RegisterAgent", { agent: "jack" });
    network.cut();
    expect(await joe.broadcast({ body: "0", includeSender: true })).toMatchObject({ status: "queued" });
    network.mend();
    await expect.poll(() => jacksMail(bus)).toEqual(["0"]);
    expect((await bus.ok("PullInbox", { agent: "joe" })).messages).toHaveLength(1);
  });

  test("without an outbox a Send fails, and nothing is kept", async () => {
    const { bus, network, joe } = await joeWithOutbox({ outbox: false });
    network.cut();
    await expect(joe.send({ to: "jack", body: "0" })).rejects.toBeInstanceOf(UnreachableError);
    network.mend();
    await joe.send({ to: "jack", body: "1" });
    expect(await jacksMail(bus)).toEqual(["1"]);
  });

  test("other calls fail: only mail can wait", async () => {
    const { network, joe } = await joeWithOutbox();
    network.cut();
    await expect(joe.rpc.listAgents({})).rejects.toBeInstanceOf(UnreachableError);
  });
});

describe("a refusal by a bus that is there", () => {
  test("is thrown, not queued: a bad message", async () => {
    const { joe } = await joeWithOutbox();
    await expect(joe.send({ to: "No Name", body: "x" })).rejects.toMatchObject({ reason: "INVALID_FIELD" });
  });

  test("is thrown, not queued: a rate limit", async () => {
    const bus = await startBus({ rateLimit: "1/min" });
    const joe = clientFor(bus, { outbox: `${temporaryFolder()}/outbox.db` });
    await joe.send({ to: "jack", body: "0" });
    const refusal = await joe.send({ to: "jack", body: "1" }).catch((error) => error);
    expect(refusal).toBeInstanceOf(BusRefusal);
    expect(refusal).toMatchObject({ reason: "RATE_LIMITED", retryAfterMs: expect.any(Number) });
  });
});
