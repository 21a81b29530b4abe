/**
 * The real store against a model of DESIGN's rules: random sequences of requests, also repeated at any later time, over
 * restarts and a clock that the test owns. A failure prints the shortest sequence found and how to see it again.
 */
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { checkProperty } from "./check-property.ts";
import { fastFolder } from "./fast-folder.ts";
import { Figures } from "./model/figures.ts";
import { POLICIES } from "./model/policies.ts";
import { ReusedStore } from "./model/reused-stores.ts";
import { type Step, stepsUpTo } from "./model/steps.ts";
import { takeStep } from "./model/take-step.ts";
import { NOON, World } from "./model/world.ts";
import { IS_LONG, SEED } from "./settings.ts";

const MINUTE = 60_000;
const MAX_STEPS = 60;

/** What must have occurred, or the test was about nothing. */
const EXPECTED = [
  ...["stored", "deduplicated", "REQUEST_ID_REUSED", "RATE_LIMITED", "INBOX_FULL", "UNKNOWN_AGENT"].map(
    (outcome) => `send ${outcome}`,
  ),
  ...["lease", "hold", "read"].flatMap((mode) => [`pull ${mode} gave`, `pull ${mode} empty`]),
  ...["pull lease repeated", "pull hold repeated", "pull REQUEST_ID_REUSED", "pull redelivered"],
  ...["ack counted", "ack stale", "ack unknown", "extendLease done", "extendLease STALE_LEASE", "giveBack done"],
  ...["ATTEMPTS_EXHAUSTED", "EXPIRED", "RECIPIENT_REMOVED"].map((reason) => `bounce ${reason}`),
  ...[
    "redrive done",
    "removeAgent done",
    "removeAgent INBOX_NOT_EMPTY",
    "restart clock set back",
    "restart same clock",
  ],
];

test("every answer of the store is the one that a simple model of the rules gives, whatever is asked and repeated", {
  timeout: (IS_LONG ? 120 : 15) * MINUTE,
}, async () => {
  const folder = fastFolder();
  const stores: ReusedStore[] = [];
  onTestFinished(async () => void (await Promise.all(stores.map((store) => store.close()))));
  const figures = new Figures();
  const began = performance.now();

  await checkProperty(fc.record({ policy: fc.constantFrom(...POLICIES), steps: stepsUpTo(MAX_STEPS) }), () => {
    const own = new Map(POLICIES.map((policy) => [policy, new ReusedStore(folder, policy)]));
    stores.push(...own.values());
    return async ({ policy, steps }) => {
      const world = await World.begin(own.get(policy) as ReusedStore, figures);
      await live(world, steps).catch((error: unknown) => {
        const what = error instanceof Error ? error.message : String(error);
        const story = `${what}\nunder ${JSON.stringify(policy)}, after\n${world.story}`;
        // T is the time at which every sequence begins.
        throw new Error(story.replace(/\b\d{13}\b/g, (at) => `T+${Number(at) - NOON}`));
      });
      figures.count("sequences", "in all");
    };
  });
  const seconds = Math.round((performance.now() - began) / 1000);
  process.stdout.write(`model: seed ${SEED}, ${seconds} s, ${figures.line}\n`);
  expect(EXPECTED.filter((name) => figures.of(name) === 0)).toEqual([]);
});

async function live(world: World, steps: readonly Step[]): Promise<void> {
  for (const step of steps) await takeStep(world, step);
  await world.audit();
  // Everything that is still on its way comes to its end.
  world.advance(61 * 24 * 60 * MINUTE);
  for (const verb of ["sweep", "index"] as const) await world.perform({ verb, args: [] });
  await world.auditReceipts();
  await world.perform({ verb: "retain", args: [] });
}
