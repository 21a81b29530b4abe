/**
 * Sends the drafts of one sender: oldest first, one at a time. Holds no lock over a call: two processes that replay at
 * once send the same request_ids in the same order, and a draft leaves only after its answer. So whoever is ahead, no
 * draft reaches the bus before an older one. It must not know how a Send travels.
 */
import type { SendResponse } from "#gen/agentbus/v1/message_bus_pb.js";
import { type Draft, type NamedLetter, type Owner, PARKED_MS } from "./draft.ts";
import type { Drafts } from "./drafts.ts";
import type { LiveSend } from "./live-send.ts";
import { type Verdict, verdictOn } from "./verdict.ts";

export interface ReplayLimits {
  /** Tries at most. */
  readonly maxDrafts: number;
  /** No further try is begun after so many milliseconds. */
  readonly maxMs: number;
}

/** What came of it. */
export interface Replayed {
  readonly sent: number;
  /** Put off because the recipient's inbox is full. */
  readonly parked: number;
  readonly setAside: number;
  readonly expired: number;
  /** Drafts that are still to be sent, those put off included. */
  readonly waiting: number;
  /** Why it ended before nothing was left to try; undefined: nothing is left, or the limits were reached. */
  readonly stopped: Stop | undefined;
  /** When a parked one is due, in milliseconds since 1970; undefined: none is parked. */
  readonly nextRetryAt: number | undefined;
}

export const NOTHING_WAITED: Replayed = {
  sent: 0,
  parked: 0,
  setAside: 0,
  expired: 0,
  waiting: 0,
  stopped: undefined,
  nextRetryAt: undefined,
};

export interface Stop {
  readonly reason: string;
  /** No bus answered, or it is not available now. */
  readonly isAway: boolean;
  /** Milliseconds before which a further try is useless, where the bus said so. */
  readonly retryAfterMs: number | undefined;
}

interface Watching {
  readonly now: () => number;
  readonly limits: ReplayLimits;
  /** Told of each draft that the bus took, or that was set aside. */
  readonly answered?: (draft: Draft, answer: Answered) => void;
}

/** What a try came to. */
export type Answered = SendResponse | { readonly failure: unknown };

/** Fails only with an OutboxError: the file can't be used, and the drafts are where they were. */
export async function replay(drafts: Drafts, owner: Owner, live: LiveSend, watching: Watching): Promise<Replayed> {
  const { now, limits, answered } = watching;
  const end = performance.now() + limits.maxMs;
  const counts = { sent: 0, parked: 0, setAside: 0, expired: 0 };
  let stopped: Stop | undefined;
  for (let tries = 0; tries < limits.maxDrafts && performance.now() < end && stopped === undefined; tries++) {
    counts.expired += drafts.expire(now(), owner);
    const draft = drafts.next(owner, now());
    if (draft === undefined) break;
    const outcome = await attempt(live, letterOf(draft, now()));
    if (!("failure" in outcome)) {
      answered?.(draft, outcome);
      drafts.sent(draft.id);
      counts.sent++;
      continue;
    }
    const verdict = verdictOn(outcome.failure);
    const change = judge(drafts, draft, verdict, now());
    if (change !== undefined) counts[change]++;
    if (change === "setAside") answered?.(draft, outcome);
    stopped = stopFor(verdict);
  }
  return { ...counts, waiting: drafts.waiting(owner), stopped, nextRetryAt: drafts.nextRetryAt(owner) };
}

async function attempt(live: LiveSend, letter: NamedLetter): Promise<Answered> {
  try {
    return await live(letter);
  } catch (failure) {
    return { failure };
  }
}

/** Writes down what the verdict means; the count that it belongs to. */
function judge(drafts: Drafts, draft: Draft, verdict: Verdict, now: number): "parked" | "setAside" | undefined {
  const { reason } = verdict;
  switch (verdict.kind) {
    case "refused":
      return drafts.setAside(draft.id, reason) ? "setAside" : undefined;
    case "inbox full":
      drafts.park(draft, now + PARKED_MS, reason);
      return "parked";
    case "internal":
      return drafts.failedInside(draft.id, reason) ? "setAside" : undefined;
    case "wait":
      drafts.tried(draft.id, reason, verdict.mayHaveArrived);
      return undefined;
  }
}

function stopFor(verdict: Verdict): Stop | undefined {
  if (verdict.kind === "wait") {
    return { reason: verdict.reason, isAway: verdict.isAway, retryAfterMs: verdict.retryAfterMs };
  }
  return verdict.kind === "internal" ? { reason: verdict.reason, isAway: false, retryAfterMs: undefined } : undefined;
}

/** With what is left of its ttl: a deadline does not move because the bus was away. */
function letterOf(draft: Draft, now: number): NamedLetter {
  const { sender, recipient, subject, body, requestId, inReplyTo, traceparent, includeSender, deadlineAt } = draft;
  const ttlSeconds = deadlineAt === undefined ? undefined : Math.max(1, Math.ceil((deadlineAt - now) / 1000));
  return { sender, recipient, subject, body, requestId, inReplyTo, traceparent, includeSender, ttlSeconds };
}
