/** Work on an inbox by a function: what is acknowledged, what comes again, how many at once, and how it ends. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { LeaseLostError, type Trouble } from "#dist/client/index.js";
import { startBus, type TestBus } from "../start-bus.ts";
import { clientFor } from "./client-for.ts";

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

async function jacksMail(count: number) {
  const bus = await startBus();
  const joe = clientFor(bus);
  await Promise.all(range(count).map((i) => joe.send({ to: "jack", body: `${i}` })));
  return { bus, joe };
}

async function statesOf(bus: TestBus, agent = "jack"): Promise<Record<string, [state: string, attempts: number]>> {
  const { messages } = await bus.ok("ListMessages", { agent });
  return Object.fromEntries(
    messages.map((one: { body: string; state: string; deliveryAttempt?: number }) => [
      one.body,
      [one.state.replace("DELIVERY_STATE_", ""), one.deliveryAttempt ?? 0],
    ]),
  );
}

describe("work on an inbox", () => {
  test("acknowledges what a handler resolves, and with once ends when nothing is left", async () => {
    const { bus, joe } = await jacksMail(5);
    const seen: string[] = [];
    const summary = await joe.work("jack", async ({ body }) => void seen.push(body), { once: true });
    expect(summary).toEqual({ done: 5, failed: 0, lost: 0 });
    expect(seen).toEqual(["0", "1", "2", "3", "4"]);
    expect(Object.values(await statesOf(bus))).toEqual(Array(5).fill(["READ", 1]));
    expect(await joe.work("jack", () => {}, { once: true })).toEqual({ done: 0, failed: 0, lost: 0 });
  });

  test("brings what a handler rejects again, later each time, and says so", async () => {
    const { bus, joe } = await jacksMail(1);
    const attempts: [attempt: number | undefined, at: number][] = [];
    const troubles: [string, Trouble][] = [];
    const stop = new AbortController();
    await joe.work(
      "jack",
      ({ deliveryAttempt }) => {
        attempts.push([deliveryAttempt, performance.now()]);
        if (attempts.length < 3) throw new Error("not yet");
        stop.abort();
      },
      // With a second hand free, a pull waits while the message has not failed yet.
      { concurrency: 2, signal: stop.signal, onError: (error, trouble) => troubles.push([error.message, trouble]) },
    );
    expect(attempts.map(([attempt]) => attempt)).toEqual([1, 2, 3]);
    const [first = 0, second = 0, third = 0] = attempts.map(([, at]) => at);
    expect(second - first).toBeGreaterThan(900);
    expect(third - second).toBeGreaterThan(1900);
    const told = { during: "handler", message: { body: "0" } };
    expect(troubles).toMatchObject([
      ["not yet", { ...told, failures: 1 }],
      ["not yet", { ...told, failures: 2 }],
    ]);
    for (const [, { retryInMs, failures }] of troubles) {
      expect(retryInMs).toBeGreaterThanOrEqual(2 ** failures * 500);
      expect(retryInMs).toBeLessThanOrEqual(2 ** failures * 1000);
    }
    expect(await statesOf(bus)).toEqual({ 0: ["READ", 3] });
  });

  test("runs as many handlers at once as asked, and leases no more", async () => {
    const { bus, joe } = await jacksMail(12);
    let running = 0;
    let most = 0;
    let mostLeased = 0;
    const work = joe.work(
      "jack",
      async () => {
        most = Math.max(most, ++running);
        const states = Object.values(await statesOf(bus));
        mostLeased = Math.max(mostLeased, states.filter(([state]) => state === "LEASED").length);
        await delay(50);
        running--;
      },
      { concurrency: 4, once: true },
    );
    expect(await work).toEqual({ done: 12, failed: 0, lost: 0 });
    expect(most).toBe(4);
    expect(mostLeased).toBeLessThanOrEqual(4);
  });

  test("is shared by two workers: each message goes to one of them", async () => {
    const { bus, joe } = await jacksMail(40);
    const other = clientFor(bus);
    const seen: string[][] = [[], []];
    const handler = (of: number) => async (message: { readonly body: string }) => {
      seen[of]?.push(message.body);
      await delay(5);
    };
    await Promise.all([
      joe.work("jack", handler(0), { once: true }),
      other.work("jack", handler(1), { once: true, concurrency: 2 }),
    ]);
    expect(seen.flat().sort()).toEqual(range(40).map(String).sort());
    expect(seen.every((mine) => mine.length > 0)).toBe(true);
  });

  test("stops when its signal aborts: what runs is finished and acknowledged, the rest lies there untouched", async () => {
    const { bus, joe } = await jacksMail(6);
    const stop = new AbortController();
    let begun = 0;
    let finished = 0;
    const work = joe.work(
      "jack",
      async (_, { signal }) => {
        if (++begun === 2) stop.abort();
        await delay(1200);
        expect(signal.aborted).toBe(false);
        finished++;
      },
      { concurrency: 2, signal: stop.signal, leaseSeconds: 1 },
    );
    expect(await work).toEqual({ done: 2, failed: 0, lost: 0 });
    expect(finished).toBe(2);
    const untouched = Array(4).fill(["UNREAD", 0]);
    expect(Object.values(await statesOf(bus))).toEqual([["READ", 1], ["READ", 1], ...untouched]);
  });

  test("stops while it waits for mail", async () => {
    const { joe } = await jacksMail(0);
    const stop = new AbortController();
    const work = joe.work("jack", () => {}, { signal: stop.signal });
    setTimeout(() => stop.abort(), 200);
    expect(await work).toEqual({ done: 0, failed: 0, lost: 0 });
  });

  test("aborts the handler whose lease is lost, and goes on", async () => {
    const { bus, joe } = await jacksMail(1);
    const troubles: string[] = [];
    const reasons: unknown[] = [];
    const summary = await joe.work(
      "jack",
      async ({ id }, { signal }) => {
        // Its inbox is removed, and the mail in it with that: a lease that nobody can prolong.
        await bus.ok("RemoveAgent", { agent: "jack", force: true });
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        reasons.push(signal.reason);
        expect(String(signal.reason)).toContain(id);
        signal.throwIfAborted();
      },
      { leaseSeconds: 1, once: true, onError: (error, { during }) => troubles.push(`${during}: ${error.name}`) },
    );
    expect(reasons).toEqual([expect.any(LeaseLostError)]);
    expect(summary).toEqual({ done: 0, failed: 0, lost: 1 });
    expect(troubles).toEqual(["lease: LeaseLostError"]);
  });

  test("fails with what needs somebody, once its handlers have ended", async () => {
    const bus = await startBus({ token: "right" });
    const wrong = clientFor(bus, { token: "wrong" });
    await expect(wrong.work("jack", () => {})).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
    await expect(clientFor(bus, { token: "right" }).work("No Name", () => {})).rejects.toMatchObject({
      reason: "INVALID_FIELD",
      violations: [{ field: "agent" }],
    });
  });

  test("goes on when whoever is told of its troubles fails himself", async () => {
    const { bus, joe } = await jacksMail(2);
    const summary = await joe.work(
      "jack",
      ({ body }) => {
        if (body === "0") throw new Error("no");
      },
      {
        once: true,
        onError: () => {
          throw new Error("the listener fails");
        },
      },
    );
    expect(summary).toEqual({ done: 1, failed: 1, lost: 0 });
    expect(await statesOf(bus)).toMatchObject({ 0: ["LEASED", 1], 1: ["READ", 1] });
  });
});
