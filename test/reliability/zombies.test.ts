/**
 * A worker sleeps past the end of its lease, another takes over, and the first goes on as if nothing had happened: in
 * every order of their calls its acks, prolongations and give-backs must not touch what it lost.
 */
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { checkProperty } from "./check-property.ts";
import { fastFolder } from "./fast-folder.ts";
import { Figures } from "./model/figures.ts";
import { ReusedStore } from "./model/reused-stores.ts";
import { IS_LONG, SEED } from "./settings.ts";
import { Inbox, type Part } from "./zombies/inbox.ts";

const MINUTE = 60_000;
const POLICY = {
  rateLimit: undefined,
  unknownRecipients: "hold" as const,
  maxHops: 50,
  maxAttempts: 1_000_000,
  maxInbox: 100_000,
  retentionMs: 30 * 24 * 60 * MINUTE,
};

const among = <const T>(...values: T[]) => fc.constantFrom(...values);
const worker = among("zombie", "second", "third");
const leaseMs = among(1000, MINUTE);
const part: fc.Arbitrary<Part> = among("all", "first", "last");

const step = fc.oneof(
  fc.record({ does: fc.constant("pull" as const), worker, ms: leaseMs, max: among(1, 2, 10) }),
  fc.record({ does: fc.constant("ack" as const), worker, part, older: among(0, 0, 0, 1) }),
  fc.record({ does: fc.constant("extend" as const), worker, ms: leaseMs }),
  fc.record({ does: fc.constant("giveBack" as const), worker, part: fc.option(part, { nil: undefined }) }),
  fc.record({ does: fc.constant("sleep" as const), ms: among(1, 999, 1000, MINUTE - 1, MINUTE) }),
);

const interleaving = fc.record({
  mail: fc.integer({ min: 1, max: 5 }),
  firstMs: leaseMs,
  /** Past the end of its lease: at once, or later. */
  sleptMs: among(0, 1, MINUTE),
  taken: among(1, 2, 10),
  takenMs: leaseMs,
  steps: fc.array(step, { minLength: 3, maxLength: 15, size: "max" }),
});

test("a worker that slept past its lease changes nothing of what others took over, and nothing is acked twice or lost", {
  timeout: (IS_LONG ? 60 : 10) * MINUTE,
}, async () => {
  const folder = fastFolder();
  const stores: ReusedStore[] = [];
  onTestFinished(async () => void (await Promise.all(stores.map((store) => store.close()))));
  const figures = new Figures();
  const began = performance.now();
  await checkProperty(interleaving, () => {
    const store = new ReusedStore(folder, POLICY);
    const opened = store.begin(Date.UTC(2030, 0, 1, 12));
    stores.push(store);
    return async ({ mail, firstMs, sleptMs, taken, takenMs, steps }) => {
      await opened;
      const inbox = await Inbox.withMail(store, mail, figures);
      const live = async () => {
        await inbox.pull("zombie", firstMs, 10);
        inbox.sleep(firstMs + sleptMs);
        await inbox.pull("second", takenMs, taken);
        for (const one of steps) await take(inbox, one);
        await inbox.settle();
      };
      await live().catch((error: unknown) => {
        throw new Error(`${error instanceof Error ? error.message : String(error)}\nafter\n${inbox.story}`);
      });
      figures.count("interleavings", "in all");
    };
  });
  const seconds = Math.round((performance.now() - began) / 1000);
  process.stdout.write(`zombies: seed ${SEED}, ${seconds} s, ${figures.line}\n`);
  const names = [
    "ack counted",
    "ack of a zombie, stale",
    "prolonged by a zombie, refused",
    "given back by a zombie, stale",
  ];
  expect([...names, "taken over messages"].filter((name) => figures.of(name) < 100)).toEqual([]);
});

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

async function take(inbox: Inbox, step: Step): Promise<void> {
  switch (step.does) {
    case "pull":
      return inbox.pull(step.worker, step.ms, step.max);
    case "ack":
      return inbox.ack(step.worker, step.part, step.older);
    case "extend":
      return inbox.extend(step.worker, step.ms);
    case "giveBack":
      return inbox.giveBack(step.worker, step.part);
    case "sleep":
      return inbox.sleep(step.ms);
  }
}
