/** The bus on a host whose wall clock is set back and forth by hours, while it runs and between two runs. */
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { expect, onTestFinished, test, vi } from "vitest";
import { startBus } from "../start-bus.ts";
import { checkProperty } from "./check-property.ts";
import { Host } from "./clock/host.ts";
import { Watch } from "./clock/watch.ts";
import { fastFolder } from "./fast-folder.ts";
import { ReusedStore } from "./model/reused-stores.ts";
import { IS_LONG, SEED } from "./settings.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const RATE_LIMIT = { count: 3, windowMs: MINUTE };
const POLICY = {
  rateLimit: RATE_LIMIT,
  unknownRecipients: "hold" as const,
  maxHops: 50,
  maxAttempts: 1_000_000,
  maxInbox: 100_000,
  retentionMs: 30 * 24 * HOUR,
};

const among = <const T>(...values: T[]) => fc.constantFrom(...values);
const weighted = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary });

const step = fc.oneof(
  weighted(16, fc.record({ does: fc.constant("send" as const) })),
  weighted(16, fc.record({ does: fc.constant("pull" as const), ms: among(SECOND, MINUTE, HOUR), max: among(1, 100) })),
  weighted(
    16,
    fc.record({ does: fc.constant("pass" as const), ms: among(1, SECOND, 30 * SECOND, MINUTE - 1, MINUTE, HOUR) }),
  ),
  weighted(
    10,
    fc.record({ does: fc.constant("jump" as const), ms: among(-26, -3, -1, 1, 5).map((hours) => hours * HOUR) }),
  ),
  weighted(4, fc.record({ does: fc.constant("jump" as const), ms: among(-MINUTE, -SECOND, -1, 1, MINUTE) })),
  weighted(1, fc.record({ does: fc.constant("restart" as const) })),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

test("whatever the wall clock does, no lease and no rate limit holds anybody longer than it says, and no id comes twice", {
  timeout: (IS_LONG ? 60 : 10) * MINUTE,
}, async () => {
  const folder = fastFolder();
  const stores: ReusedStore[] = [];
  onTestFinished(async () => void (await Promise.all(stores.map((store) => store.close()))));
  const sums = new Map<string, number>();
  const began = performance.now();
  await checkProperty(fc.record({ steps: fc.array(step, { minLength: 5, maxLength: 30, size: "max" }) }), () => {
    const store = new ReusedStore(folder, POLICY);
    stores.push(store);
    return async ({ steps }) => {
      const host = await Host.begin(store, Date.UTC(2030, 0, 1, 12));
      const watch = new Watch(host, RATE_LIMIT);
      await live(watch, steps).catch((error: unknown) => {
        throw new Error(`${error instanceof Error ? error.message : String(error)}\nafter\n${watch.story}`);
      });
      for (const [name, count] of Object.entries({ runs: 1, ...watch.counts }))
        sums.set(name, (sums.get(name) ?? 0) + count);
    };
  });
  const seconds = Math.round((performance.now() - began) / 1000);
  const line = [...sums].map(([name, count]) => `${name}: ${count}`).join(", ");
  process.stdout.write(`clock: seed ${SEED}, ${seconds} s, ${line}\n`);
  expect([...sums].filter(([, count]) => count < 50)).toEqual([]);
});

async function live(watch: Watch, steps: readonly Step[]): Promise<void> {
  for (const step of steps) await take(watch, step);
  // Whatever was held comes back when the longest lease has really passed, however the clock stands.
  watch.pass(HOUR);
  await watch.pull(SECOND, 1000);
  await watch.send();
}

async function take(watch: Watch, step: Step): Promise<void> {
  switch (step.does) {
    case "send":
      return watch.send();
    case "pull":
      return watch.pull(step.ms, step.max);
    case "pass":
      return watch.pass(step.ms);
    case "jump":
      return watch.jump(step.ms);
    case "restart":
      return watch.restart();
  }
}

/** A whole bus in this process; what it takes for the wall clock is set by the test. */
async function busWithWallClock(rateLimit = "off") {
  const real = Date.now.bind(Date);
  let offset = 0;
  const spy = vi.spyOn(Date, "now").mockImplementation(() => real() + offset);
  onTestFinished(() => spy.mockRestore());
  const bus = await startBus({ rateLimit });
  const setBack = (ms: number) => {
    offset -= ms;
  };
  return { ...bus, setBack };
}

/** How long it really took. */
async function timed<T>(work: Promise<T>): Promise<{ ms: number; answer: T }> {
  const began = performance.now();
  const answer = await work;
  return { ms: performance.now() - began, answer };
}

/** So much longer anything may take on a busy machine. Hours are what the wall clock is set by. */
const BUSY_MS = 10_000;

test("a pull waits as long as it asked, though the wall clock is set back by hours meanwhile", async () => {
  const bus = await busWithWallClock();
  const pull = timed(bus.ok("PullInbox", { agent: "jack", waitSeconds: 1 }));
  await sleep(200);
  bus.setBack(5 * HOUR);
  const { ms, answer } = await pull;
  expect(answer.messages).toEqual([]);
  expect(ms).toBeGreaterThan(900);
  expect(ms).toBeLessThan(1000 + BUSY_MS);
});

test("a waiting pull gets what another's lease held when that has really ended, though the clock was set back", async () => {
  const bus = await busWithWallClock();
  const { id } = await bus.ok("Send", { from: "joe", to: "jack" });
  await bus.ok("PullInbox", { agent: "jack", leaseSeconds: 1 });
  bus.setBack(5 * HOUR);
  const { ms, answer } = await timed(bus.ok("PullInbox", { agent: "jack", waitSeconds: 20 }));
  expect(answer.messages).toMatchObject([{ id, deliveryAttempt: 1 }]);
  expect(ms).toBeLessThan(1000 + BUSY_MS);
});

test("a sender who was refused may send when the window has really passed, though the clock was set back", async () => {
  const bus = await busWithWallClock("1/s");
  await bus.ok("Send", { from: "joe", to: "jack" });
  bus.setBack(5 * HOUR);
  const refused = await bus.call("Send", { from: "joe", to: "jack" });
  // Unless this machine was so busy that the second is over already.
  if (refused.status !== 200) expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "1"]);
  await sleep(1000);
  const { timestamp, id } = await bus.ok("Send", { from: "joe", to: "jill" });
  const later = await bus.ok("GetMessage", { agent: "joe", messageId: id });
  expect(later.message.timestamp).toBe(timestamp);
});
