/**
 * What callers may do next, as plain data that fast-check makes and shrinks: few agents, few texts and few keys, so that
 * they meet. Numbers point at what is known when the step is taken, 0 at the newest.
 */
import fc from "fast-check";
import type { Taking } from "#dist/store.js";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const AGENTS = ["ann", "bob", "cid"] as const;
/** Nobody acts as this one before somebody wrote to it. */
export const STRANGER = "dee";

const among = <const T>(...values: T[]) => fc.constantFrom(...values);
const weighted = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary });
const agent = among(...AGENTS);
const anyAgent = fc.oneof(weighted(8, agent), weighted(1, fc.constant(STRANGER)));
const maybe = <T>(arbitrary: fc.Arbitrary<T>, one = 2) => fc.option(arbitrary, { nil: undefined, freq: one });
const known = fc.nat({ max: 7 });
const duration = among(1, SECOND, 30 * SECOND, MINUTE, HOUR);

const draft = fc.record({
  from: agent,
  to: fc.oneof({ arbitrary: agent, weight: 8 }, { arbitrary: among("ALL", STRANGER, "eve"), weight: 2 }),
  includeSender: fc.boolean(),
  subject: among("red", "blue fox", "größe"),
  body: among("", "fox", "red fox jumps", "größe über alles", "x".repeat(40)),
  requestId: maybe(among("k0", "k1", "k2"), 1),
  ttlMs: maybe(duration, 2),
  /** -1: an id that nobody knows. */
  inReplyTo: maybe(fc.integer({ min: -1, max: 5 }), 1),
  traceparent: maybe(among("00-a-b-01"), 1),
});

const look: fc.Arbitrary<Taking> = fc.constant({ kind: "look" });
const taking: fc.Arbitrary<Taking> = fc.oneof(
  fc.constant({ kind: "read" } as const),
  fc.record({ kind: among("lease", "lease", "hold"), ms: duration }),
);

const pull = fc.record({
  agent: anyAgent,
  taking: fc.oneof(weighted(1, look), weighted(3, taking)),
  requestId: maybe(among("p0", "p1"), 2),
  maxMessages: among(1, 2, 3, 50, 50),
  maxBytes: among(1, 20, 1_000_000, 1_000_000),
  maxBodyBytes: maybe(among(1, 5, 7), 1),
});

/** Of what a lease or a pull gave. */
const part = among("all", "first", "last");

const history = fc.record({
  agent: anyAgent,
  box: among("INBOX", "SENT", "DEAD"),
  peer: maybe(among(...AGENTS, "bus", "eve"), 1),
  inReplyTo: maybe(known, 1),
  text: maybe(among("fox", "FOX red", "jumps", "undelivered"), 1),
  /** Before now. */
  since: maybe(duration, 1),
  until: maybe(duration, 1),
  limit: among(1, 2, 50),
  maxBodyBytes: among(1, 7, 1000),
});

/** Not looks: those read at once, what is being written is not there yet. */
const takingPull = fc.record({ pull, taking }).map((one) => ({ ...one.pull, taking: one.taking }));

const does = <K extends string, T>(kind: K, what: fc.Arbitrary<T>) => fc.record({ does: fc.constant(kind), what });

const step = fc.oneof(
  weighted(16, does("send", fc.array(draft, { minLength: 1, maxLength: 3 }))),
  weighted(16, does("pull", pull)),
  weighted(4, does("pullAtOnce", fc.tuple(agent, takingPull, takingPull))),
  weighted(8, does("ackLease", fc.record({ lease: known, part, named: fc.boolean() }))),
  weighted(4, does("ackPulled", fc.record({ agent, part }))),
  weighted(
    4,
    does(
      "ack",
      fc.record({
        agent: anyAgent,
        ids: fc.array(fc.integer({ min: -1, max: 7 }), { minLength: 1, maxLength: 3 }),
        lease: maybe(fc.integer({ min: -1, max: 5 }), 1),
      }),
    ),
  ),
  weighted(4, does("extend", fc.record({ lease: known, ms: duration }))),
  weighted(4, does("giveBack", fc.record({ lease: known, part: maybe(part), alsoId: maybe(known, 1) }))),
  weighted(2, does("register", fc.record({ agent, description: maybe(among("", "Writes a FOX", "reads")) }))),
  weighted(2, does("remove", fc.record({ agent: anyAgent, force: fc.boolean() }))),
  weighted(
    4,
    does("redrive", fc.record({ agent: anyAgent, ids: maybe(fc.array(known, { minLength: 1, maxLength: 3 })) })),
  ),
  weighted(5, does("sweep", fc.constant(undefined))),
  weighted(2, does("retain", fc.constant(undefined))),
  weighted(1, does("index", fc.constant(undefined))),
  weighted(4, does("listMessages", history)),
  weighted(2, does("nextPage", known)),
  weighted(
    1,
    does(
      "listAgents",
      fc.record({
        text: among("", "B", "fox"),
        includeUnregistered: fc.boolean(),
        limit: among(1, 50),
        after: maybe(agent, 1),
      }),
    ),
  ),
  weighted(2, does("getMessage", fc.record({ agent: anyAgent, id: fc.integer({ min: -1, max: 7 }) }))),
  weighted(
    2,
    does("getReceipt", fc.record({ id: fc.integer({ min: -1, max: 7 }), limit: among(1, 50), after: maybe(agent, 1) })),
  ),
  weighted(12, does("advance", fc.oneof(duration, duration, among(DAY, 31 * DAY, 61 * DAY)))),
  weighted(10, does("repeat", fc.nat({ max: 40 }))),
  weighted(1, does("sendAgain", known)),
  weighted(1, does("restart", among(0, 0, SECOND, 2 * MINUTE, 3 * HOUR))),
);

export type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;
export type Draft = typeof draft extends fc.Arbitrary<infer D> ? D : never;

/** Up to this many of them. */
export function stepsUpTo(length: number): fc.Arbitrary<Step[]> {
  return fc.array(step, { minLength: 1, maxLength: length, size: "max" });
}
