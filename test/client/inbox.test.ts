/** An inbox as a loop, against a real bus: what is acknowledged, what comes again, and what an outage does. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type BusClient, isBounce, type LeasedMessage, LeaseLostError, type Trouble } from "#dist/client/index.js";
import { spawnBus, startBus, type TestBus } from "../start-bus.ts";
import { clientFor } from "./client-for.ts";
import { startCuttableProxy } from "./cuttable-proxy.ts";

const DELIVERIES = { UNREAD: "DELIVERY_STATE_UNREAD", LEASED: "DELIVERY_STATE_LEASED", READ: "DELIVERY_STATE_READ" };

async function jacksMail(...bodies: string[]) {
  const bus = await startBus();
  const joe = clientFor(bus);
  for (const body of bodies) await joe.send({ to: "jack", body });
  return { bus, joe };
}

async function receiptOf(bus: TestBus, messageId: string) {
  return (await bus.ok("GetReceipt", { messageId })).receipts[0];
}

async function stateOf(bus: TestBus, messageId: string): Promise<string> {
  return (await receiptOf(bus, messageId)).state;
}

/** The first message of an inbox, its loop left as `leave` says. */
async function first(client: BusClient, leave: (message: LeasedMessage) => void | Promise<void> = () => {}) {
  for await (const message of client.inbox("jack", { maxBackoffSeconds: 1 })) {
    await leave(message);
    return message;
  }
  throw new Error("the inbox ended");
}

describe("a loop over an inbox", () => {
  test("gets the mail in order, and acknowledges each when it asks for the next", async () => {
    const { bus, joe } = await jacksMail("one", "two", "three");
    const seen: string[] = [];
    const states: string[] = [];
    for await (const message of joe.inbox("jack", { once: true })) {
      seen.push(message.body);
      states.push(await stateOf(bus, message.id));
    }
    expect(seen).toEqual(["one", "two", "three"]);
    expect(states).toEqual([DELIVERIES.LEASED, DELIVERIES.LEASED, DELIVERIES.LEASED]);
    expect((await bus.ok("PullInbox", { agent: "jack" })).messages).toEqual([]);
    const { messages } = await bus.ok("ListMessages", { agent: "jack" });
    expect(messages.map(({ state }: { state: string }) => state)).toEqual(Array(3).fill(DELIVERIES.READ));
  });

  test("holds no more than the one message that it works on", async () => {
    const { bus, joe } = await jacksMail("one", "two");
    await first(joe, async () => {
      const { messages } = await bus.ok("PullInbox", { agent: "jack" });
      expect(messages.map(({ body }: { body: string }) => body)).toEqual(["two"]);
    });
  });

  test("waits for mail that comes later", async () => {
    const { joe } = await jacksMail();
    setTimeout(() => void joe.send({ to: "jack", body: "late" }), 300);
    expect((await first(joe)).body).toBe("late");
  });

  test.each([
    ["a break", async (joe: BusClient) => void (await first(joe))],
    [
      "a throw",
      async (joe: BusClient) => {
        const failing = first(joe, () => {
          throw new Error("no");
        });
        await expect(failing).rejects.toThrow("no");
      },
    ],
  ])(
    "that %s ends leaves its message unacknowledged: it comes again later, with a higher attempt",
    async (_, leave) => {
      const { bus, joe } = await jacksMail("one");
      await leave(joe);
      expect((await bus.ok("PullInbox", { agent: "jack" })).messages).toEqual([]);
      const again = await first(joe, (message) => message.ack());
      expect(again).toMatchObject({ body: "one", deliveryAttempt: 2 });
    },
  );

  test("that is left after an ack of its own leaves nothing behind", async () => {
    const { bus, joe } = await jacksMail("one");
    const { id } = await first(joe, (message) => message.ack());
    expect(await receiptOf(bus, id)).toMatchObject({ state: DELIVERIES.READ, deliveryAttempt: 1 });
  });

  test("that was left can acknowledge its message later, as long as nobody has taken it over", async () => {
    const { bus, joe } = await jacksMail("one");
    const left = await first(joe);
    await left.ack();
    expect(await stateOf(bus, left.id)).toBe(DELIVERIES.READ);
    await joe.send({ to: "jack", body: "two" });
    const taken = await first(joe);
    await first(joe, (again) => again.ack());
    await expect(taken.ack()).rejects.toBeInstanceOf(LeaseLostError);
  });

  test("keeps its message for as long as the body takes, however short the lease", async () => {
    const { bus, joe } = await jacksMail("slow");
    for await (const message of joe.inbox("jack", { leaseSeconds: 1, once: true })) {
      await delay(3500);
      expect(message.signal.aborted).toBe(false);
      expect(await receiptOf(bus, message.id)).toMatchObject({ state: DELIVERIES.LEASED, deliveryAttempt: 1 });
    }
    expect((await bus.ok("ListMessages", { agent: "jack" })).messages).toMatchObject([{ state: DELIVERIES.READ }]);
  });

  test("ends without an error when its signal aborts, and what it worked on is acknowledged", async () => {
    const { bus, joe } = await jacksMail("one");
    const stop = new AbortController();
    const ids: string[] = [];
    for await (const message of joe.inbox("jack", { signal: stop.signal })) {
      ids.push(message.id);
      stop.abort();
    }
    expect(ids).toHaveLength(1);
    expect(await stateOf(bus, ids[0] as string)).toBe(DELIVERIES.READ);
  });

  test("that is stopped while it waits holds nothing back", async () => {
    const { bus, joe } = await jacksMail();
    for (let round = 0; round < 10; round++) {
      const stop = new AbortController();
      const loop = joe.inbox("jack", { signal: stop.signal });
      const next = loop.next();
      await delay(20);
      // The mail and the end come at the same time.
      const sent = joe.send({ to: "jack", body: `${round}` });
      setTimeout(() => stop.abort(), round / 2);
      const { value } = await next;
      await loop.return();
      const told = await sent;
      if (told.status !== "sent") throw new Error("not sent");
      // Either it was handed to us, and is ours to leave; or it lies there as if we had never been.
      const receipt = await receiptOf(bus, told.id);
      if (value === undefined) expect(receipt).toMatchObject({ state: DELIVERIES.UNREAD, deliveryAttempt: 0 });
      await bus.ok("Ack", { agent: "jack", messageIds: [told.id] });
    }
  });

  test("throws what does not pass by itself", async () => {
    const bus = await startBus({ token: "right" });
    const loop = clientFor(bus, { token: "wrong" }).inbox("jack");
    await expect(loop.next()).rejects.toMatchObject({ name: "BusRefusal", reason: "TOKEN_INVALID" });
  });

  test("refuses options that would never hand out anything", async () => {
    const { joe } = await jacksMail();
    expect(() => joe.inbox("jack", { leaseSeconds: 0 })).toThrow(
      "leaseSeconds must be a whole number from 1 to 43200, not 0",
    );
    expect(() => joe.inbox("jack", { waitSeconds: 51 })).toThrow("waitSeconds");
    await expect(joe.work("jack", () => {}, { concurrency: 0 })).rejects.toThrow("concurrency");
  });

  test("tells a bounce from other mail", async () => {
    const { joe } = await jacksMail();
    await joe.send({ to: "jack", body: "too late", ttlSeconds: 1 });
    for await (const bounce of joe.inbox("joe")) {
      expect(isBounce(bounce)).toBe(true);
      expect(bounce.subject).toMatch(/^Undelivered/);
      break;
    }
    await joe.send({ to: "jack", body: "x" });
    expect(isBounce(await first(joe, (message) => message.ack()))).toBe(false);
  });
});

describe("a lost lease", () => {
  test("aborts the message's signal and is told; the message is another worker's", async () => {
    const { bus, joe } = await jacksMail("one");
    const proxy = await startCuttableProxy(bus.port);
    const troubles: [string, Trouble["during"]][] = [];
    const onError = (error: Error, { during }: Trouble) => troubles.push([error.name, during]);
    const cutOff = clientFor(proxy);
    for await (const message of cutOff.inbox("jack", { leaseSeconds: 1, once: true, onError })) {
      proxy.cut();
      await expect.poll(() => message.signal.aborted).toBe(true);
      expect(message.signal.reason).toBeInstanceOf(LeaseLostError);
      for await (const taken of joe.inbox("jack")) {
        expect(taken).toMatchObject({ id: message.id, deliveryAttempt: 2 });
        await taken.ack();
        break;
      }
      proxy.mend();
    }
    const told = troubles.filter(([name]) => name === "LeaseLostError");
    expect(told).toEqual([
      ["LeaseLostError", "lease"],
      ["LeaseLostError", "ack"],
    ]);
  });
});

describe("an outage of the bus", () => {
  test("does not end a loop: behind a kill -9 and a restart every message is worked on, and nothing is left", async () => {
    const bus = await spawnBus();
    const joe = clientFor(bus);
    const expected = Array.from({ length: 40 }, (_, i) => `message ${i}`);
    await Promise.all(expected.map((body) => joe.send({ to: "jack", body })));
    const outages: string[] = [];
    const stop = new AbortController();
    const seen: LeasedMessage[] = [];
    const different = () => new Set(seen.map(({ body }) => body)).size;
    const options = { signal: stop.signal, onError: (_: Error, { during }: Trouble) => outages.push(during) };
    const killAndRestart = async () => {
      await (await running).kill("SIGKILL");
      await delay(700);
      return spawnBus({}, { folder: bus.folder, port: bus.port });
    };
    let running = Promise.resolve(bus);
    for await (const message of joe.inbox("jack", options)) {
      seen.push(message);
      // Once while there is more mail, and once while it waits for mail.
      if (seen.length === 10) running = killAndRestart();
      if (different() === expected.length) {
        setTimeout(() => {
          running = killAndRestart();
          void running.then(() => joe.send({ to: "jack", body: "the last" }));
        }, 200);
      }
      if (message.body === "the last") stop.abort();
    }
    await running;
    expect(outages).toContain("pull");
    expect([...new Set(seen.map(({ body }) => body))].sort()).toEqual([...expected, "the last"].sort());
    // What was acknowledged never came again: whatever came twice came as another attempt.
    expect(new Set(seen.map(({ id, deliveryAttempt }) => `${id} ${deliveryAttempt}`)).size).toBe(seen.length);
    const { agents } = await bus.ok("ListAgents", { query: "jack" });
    expect(agents).toMatchObject([{ unreadCount: 0 }]);
  });

  test("is no busy loop: a loop asks less and less often, and goes on once the bus is back", async () => {
    const { bus, joe } = await jacksMail();
    const proxy = await startCuttableProxy(bus.port);
    proxy.cut();
    const pauses: number[] = [];
    const onError = (_: Error, { retryInMs = 0 }: Trouble) => pauses.push(retryInMs);
    const loop = clientFor(proxy).inbox("jack", { onError });
    const next = loop.next();
    await delay(2000);
    expect(pauses.length).toBeGreaterThan(1);
    expect(pauses.length).toBeLessThan(30);
    proxy.mend();
    await joe.send({ to: "jack", body: "back" });
    expect((await next).value).toMatchObject({ body: "back" });
    await loop.return();
  });
});
