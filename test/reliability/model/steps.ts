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
/** In so many of a hundred. */
const maybe = <T>(percent: number, arbitrary: fc.Arbitrary<T>) =>
  fc.oneof(weighted(percent, arbitrary), weighted(100 - percent, fc.constant(undefined)));
const known = fc.oneof(fc.nat({ max: 2 }), fc.nat({ max: 7 }));
const duration = among(1, SECOND, 30 * SECOND, MINUTE, HOUR);

const draft = fc.record({
  from: agent,
  to: fc.oneof({ arbitrary: agent, weight: 8 }, { arbitrary: among("ALL", STRANGER, "eve"), weight: 2 }),
  includeSender: fc.boolean(),
  subject: among("red", "blue fox", "größe"),
  body: among("", "fox", "red fox jumps", "größe über alles", "x".repeat(40)),
  requestId: maybe(30, among("k0", "k1", "k2")),
  ttlMs: maybe(20, duration),
  /** -1: an id that nobody knows. */
  inReplyTo: maybe(25, fc.integer({ min: -1, max: 5 })),
  traceparent: maybe(20, among("00-a-b-01")),
});

const look: fc.Arbitrary<Taking> = fc.constant({ kind: "look" });
const taking: fc.Arbitrary<Taking> = fc.oneof(
  weighted(1, fc.constant({ kind: "read" } as const)),
  weighted(4, fc.record({ kind: among("lease", "lease", "hold"), ms: duration })),
);

const pull = fc.record({
  /** undefined: one whose mail can be handed out, if there is any. */
  agent: maybe(30, anyAgent),
  taking: fc.oneof(weighted(1, look), weighted(3, taking)),
  requestId: maybe(60, among("p0", "p1")),
  maxMessages: among(1, 2, 3, 50, 50),
  maxBytes: among(1, 20, 1_000_000, 1_000_000),
  maxBodyBytes: maybe(20, among(1, 5, 7)),
});

/** Of what a lease or a pull gave. */
const part = among("all", "first", "last");

const history = fc.record({
  agent: anyAgent,
  box: among("INBOX", "SENT", "DEAD"),
  peer: maybe(20, among(...AGENTS, "bus", "eve")),
  inReplyTo: maybe(10, known),
  text: maybe(20, among("fox", "FOX red", "jumps", "undelivered")),
  /** Before now. */
  since: maybe(20, duration),
  until: maybe(20, duration),
  limit: among(1, 2, 50),
  maxBodyBytes: among(1, 7, 1000),
});

/** Not looks: those read at once, what is being written is not there yet. */
const takingPull = fc.record({ pull, taking }).map((one) => ({ ...one.pull, taking: one.taking }));

const does = <K extends string, T>(kind: K, what: fc.Arbitrary<T>) => fc.record({ does: fc.constant(kind), what });

const step = fc.oneof(
  weighted(40, does("send", fc.array(draft, { minLength: 1, maxLength: 3 }))),
  weighted(36, does("pull", pull)),
  weighted(8, does("pullAtOnce", fc.tuple(agent, takingPull, takingPull))),
  weighted(24, does("ackLease", fc.record({ lease: known, part, named: fc.boolean() }))),
  weighted(8, does("ackPulled", fc.record({ agent, part }))),
  weighted(
    4,
    does(
      "ack",
      fc.record({
        agent: anyAgent,
        ids: fc.array(fc.integer({ min: -1, max: 7 }), { minLength: 1, maxLength: 3 }),
        lease: maybe(40, fc.integer({ min: -1, max: 5 })),
      }),
    ),
  ),
  weighted(10, does("extend", fc.record({ lease: known, ms: duration }))),
  weighted(10, does("giveBack", fc.record({ lease: known, part: maybe(60, part), alsoId: maybe(30, known) }))),
  weighted(2, does("register", fc.record({ agent, description: maybe(60, among("", "Writes a FOX", "reads")) }))),
  weighted(4, does("remove", fc.record({ agent: anyAgent, force: fc.boolean() }))),
  weighted(
    8,
    does(
      "redrive",
      fc.record({
        agent: maybe(20, anyAgent),
        which: known,
        ids: maybe(40, fc.array(known, { minLength: 1, maxLength: 3 })),
      }),
    ),
  ),
  weighted(8, does("sweep", fc.constant(undefined))),
  weighted(4, does("retain", fc.constant(undefined))),
  weighted(2, does("index", fc.constant(undefined))),
  weighted(8, does("listMessages", history)),
  weighted(4, does("nextPage", known)),
  weighted(
    2,
    does(
      "listAgents",
      fc.record({
        text: among("", "B", "fox"),
        includeUnregistered: fc.boolean(),
        limit: among(1, 50),
        after: maybe(20, agent),
      }),
    ),
  ),
  weighted(2, does("getMessage", fc.record({ agent: anyAgent, id: fc.integer({ min: -1, max: 7 }) }))),
  weighted(
    2,
    does(
      "getReceipt",
      fc.record({ id: fc.integer({ min: -1, max: 7 }), limit: among(1, 50), after: maybe(20, agent) }),
    ),
  ),
  weighted(14, does("advanceToNextEnd", among(-1, 0, 0, 1))),
  weighted(24, does("advance", fc.oneof(weighted(9, duration), weighted(1, among(DAY, 31 * DAY, 61 * DAY))))),
  weighted(20, does("repeat", fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 40 })))),
  weighted(14, does("repeatPull", fc.record({ pull: known, taking }))),
  weighted(2, does("sendAgain", known)),
  weighted(1, does("restart", among(0, 0, SECOND, 2 * MINUTE, 3 * HOUR))),
);

export type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;
export type Draft = typeof draft extends fc.Arbitrary<infer D> ? D : never;

export function stepsUpTo(length: number): fc.Arbitrary<Step[]> {
  return fc.array(step, { minLength: 15, maxLength: length, size: "max" });
}
