/**
 * Judges one agent's errand, step by step: by its own report, by those of its neighbours in the ring, and by what the bus
 * has of it. It runs nothing.
 */
import { WINDOW_MS } from "./fill-quota.ts";
import type { Got, Report } from "./report.ts";

export const TEXT = "Grüße · 日本語 · 🚀";
/** What it waits for at its empty inbox, and what that may be off by. */
const QUIET_MS = 2000;
const QUIET_EARLY_MS = 50;
/** No refusal asks for a longer wait than the bus's window; some clients round it up. */
const ROUNDED_UP_MS = 1;

/** A message as ListMessages has it. */
export interface Kept {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly body: string;
  readonly inReplyTo?: string;
  readonly deliveryAttempt?: number;
  readonly state?: string;
}

export interface Evidence {
  readonly name: string;
  /** Who writes to it, and whom it writes to. */
  readonly previous: string;
  readonly next: string;
  readonly report: Report;
  /** Of those two. */
  readonly previousReport: Report;
  readonly nextReport: Report;
  /** As the bus has it, oldest first. */
  readonly inbox: readonly Kept[];
  readonly outbox: readonly Kept[];
  readonly unreadCount: number;
  /** What it registered as. */
  readonly description: string;
}

const SUBJECTS = ["Note 1", "Note 2", "Re: Task", "Task"];

type Step = (evidence: Evidence) => boolean;

/** Each says whether it went as it must. */
export const STEPS: Readonly<Record<string, Step>> = {
  register: ({ report, name, description }) => same(report.registered, [name]) && description.includes(" agent"),
  error: ({ report }) => same(report.errors, ["UNKNOWN_MESSAGE"]),
  send: ({ report }) =>
    same(
      firsts(report)
        .map(({ subject }) => subject)
        .sort(),
      SUBJECTS,
    ) && new Set(firsts(report).map(idOf)).size === 4,
  repeat: ({ report }) => {
    const repeats = report.sent.filter(({ deduplicated }) => deduplicated);
    return (
      same(
        repeats.map(({ subject }) => subject),
        ["Task"],
      ) && repeats[0]?.id === sentId(report, "Task")
    );
  },
  retry: ({ report: { refused } }) =>
    refused.length > 0 &&
    refused.every(
      ({ reason, waitMs }) => reason === "RATE_LIMITED" && waitMs > 0 && waitMs <= WINDOW_MS + ROUNDED_UP_MS,
    ),
  lease: ({ report: { got } }) => {
    const [lapsed] = got;
    const attempts = (message: Got) => got.filter(({ id }) => id === message.id).map(({ attempt }) => attempt);
    return (
      lapsed !== undefined && got.every((message) => same(attempts(message), message.id === lapsed.id ? [1, 2] : [1]))
    );
  },
  text: ({ report: { got } }) =>
    same([...new Set(got.map(({ subject }) => subject))].sort(), SUBJECTS) &&
    got.every(({ subject, body }) => body === (subject === "Re: Task" ? `done: ${TEXT}` : TEXT)),
  ring: ({ report, previous, next, previousReport, nextReport }) => {
    const answered = report.got.filter(({ subject }) => subject === "Re: Task");
    const answer = { id: sentId(nextReport, "Re: Task"), from: next, inReplyTo: sentId(report, "Task") };
    const others = report.got.filter(({ subject }) => subject !== "Re: Task");
    return (
      answered.length > 0 &&
      answered.every(({ id, from, inReplyTo }) => same({ id, from, inReplyTo }, answer)) &&
      others.every(({ subject, id, from }) => from === previous && id === sentId(previousReport, subject))
    );
  },
  ack: ({ report, unreadCount }) => report.acked.reduce((sum, count) => sum + count, 0) === 4 && unreadCount === 0,
  wait: ({ report: { quiet } }) =>
    quiet.length === 1 && quiet.every(({ messages, ms }) => messages === 0 && ms >= QUIET_MS - QUIET_EARLY_MS),
  history: ({ name, report, inbox, outbox }) => {
    const last = new Map(report.got.map((message) => [message.id, message]));
    return (
      same(
        outbox.map(({ id, subject, from }) => [id, subject, from]),
        firsts(report).map(({ id, subject }) => [id, subject, name]),
      ) &&
      inbox.length === 4 &&
      inbox.every((kept) => kept.state === "DELIVERY_STATE_READ" && same(asGot(kept), last.get(kept.id)))
    );
  },
};

/** What has no ids, names or times in it, and so must be alike for all. */
export function gist({ errors, sent, got, refused, acked, quiet }: Report): string {
  return JSON.stringify({
    errors,
    sent: sent.map(({ subject, deduplicated }) => [subject, deduplicated]),
    got: [...new Set(got.map(({ subject, body }) => `${subject}: ${body}`))].sort(),
    refused: [...new Set(refused.map(({ reason }) => reason))],
    acked: acked.reduce((sum, count) => sum + count, 0),
    quiet: quiet.map(({ messages }) => messages),
  });
}

const idOf = ({ id }: { readonly id: string }) => id;

function firsts({ sent }: Report): Report["sent"] {
  return sent.filter(({ deduplicated }) => !deduplicated);
}

function sentId(report: Report, subject: string): string | undefined {
  return firsts(report).find((message) => message.subject === subject)?.id;
}

function asGot({ subject, id, from, body, deliveryAttempt = 0, inReplyTo = "" }: Kept): Got {
  return { subject, id, from, body, attempt: deliveryAttempt, inReplyTo };
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
