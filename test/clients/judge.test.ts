/** That `npm run test:clients` sees what goes wrong: each step, of an errand that went well, spoiled in its own way. */
import { describe, expect, test } from "vitest";
import { type Evidence, gist, type Kept, STEPS, TEXT } from "./judge.ts";
import { type Report, readReport } from "./report.ts";

/** An agent that writes to itself, as it reported. */
const LINES = [
  "registered\tgo",
  "error\tUNKNOWN_MESSAGE",
  "sent\tTask\tid-1\tfalse",
  "refused\tRATE_LIMITED\t987",
  "sent\tNote 1\tid-2\tfalse",
  "sent\tNote 2\tid-3\tfalse",
  "sent\tTask\tid-1\ttrue",
  `got\tTask\tid-1\tgo\t${TEXT}\t1\t`,
  `got\tNote 1\tid-2\tgo\t${TEXT}\t1\t`,
  `got\tNote 2\tid-3\tgo\t${TEXT}\t1\t`,
  "acked\t2",
  `got\tTask\tid-1\tgo\t${TEXT}\t2\t`,
  "sent\tRe: Task\tid-4\tfalse",
  "acked\t1",
  `got\tRe: Task\tid-4\tgo\tdone: ${TEXT}\t1\tid-1`,
  "acked\t1",
  "quiet\t0\t2003",
];

const message = (n: number, subject: string, more: Partial<Kept> = {}): Kept => ({
  id: `id-${n}`,
  from: "go",
  to: "go",
  subject,
  body: TEXT,
  deliveryAttempt: 1,
  state: "DELIVERY_STATE_READ",
  ...more,
});
const kept = [
  message(1, "Task", { deliveryAttempt: 2 }),
  message(2, "Note 1"),
  message(3, "Note 2"),
  message(4, "Re: Task", { body: `done: ${TEXT}`, inReplyTo: "id-1" }),
];

function evidence(lines: readonly string[], more: Partial<Evidence> = {}): Evidence {
  const report: Report = readReport(lines.join("\n"));
  return {
    name: "go",
    previous: "go",
    next: "go",
    report,
    previousReport: report,
    nextReport: report,
    inbox: kept,
    outbox: kept,
    unreadCount: 0,
    description: "a Go agent (gRPC)",
    ...more,
  };
}

const failing = (of: Evidence) => Object.keys(STEPS).filter((step) => STEPS[step]?.(of) === false);
const without = (start: string) => LINES.filter((line) => !line.startsWith(start));
const changed = (from: string | RegExp, to: string) => LINES.map((line) => line.replace(from, to));

test("an errand that went well passes every step", () => {
  expect(failing(evidence(LINES))).toEqual([]);
});

describe("a step fails when", () => {
  test.each<[step: string, spoiled: string, lines: string[]]>([
    ["register", "another name answered", changed("registered\tgo", "registered\tgo-grpc")],
    ["error", "the reason did not come", changed("error\tUNKNOWN_MESSAGE", "error\t")],
    ["error", "there was no error", without("error")],
    ["send", "a note was not sent", without("sent\tNote 2")],
    ["repeat", "the repeat was stored anew", changed(/^sent\tTask\tid-1\ttrue/, "sent\tTask\tid-9\tfalse")],
    ["repeat", "the repeat got another id", changed(/^sent\tTask\tid-1\ttrue/, "sent\tTask\tid-9\ttrue")],
    ["retry", "nothing was refused", without("refused")],
    ["retry", "the delay did not come", changed("\t987", "\t0")],
    ["retry", "it was refused for something else", changed("RATE_LIMITED", "INBOX_FULL")],
    ["lease", "the lapsed message did not come again", LINES.filter((line) => !line.endsWith("\t2\t"))],
    ["lease", "another message came twice", [...LINES, `got\tNote 1\tid-2\tgo\t${TEXT}\t2\t`]],
    ["text", "a character was lost", changed("🚀\t1\tid-1", "?\t1\tid-1")],
    ["ring", "the answer names another task", changed("\t1\tid-1", "\t1\tid-2")],
    ["ring", "the answer came from someone else", changed("Re: Task\tid-4\tgo\t", "Re: Task\tid-4\teve\t")],
    ["ack", "an ack did not count", changed(/^acked\t2/, "acked\t1")],
    ["wait", "the poll did not last", changed("quiet\t0\t2003", "quiet\t0\t12")],
    ["wait", "the poll was not empty", changed("quiet\t0", "quiet\t1")],
    ["history", "what came is not what the bus has", changed(/^got\tNote 2\tid-3/, "got\tNote 2\tid-5")],
  ])("%s: %s", (step, _, lines) => {
    expect(failing(evidence(lines))).toContain(step);
  });

  test("ack, history: the bus says that mail is left", () => {
    const inbox = kept.map((one, i) => (i === 3 ? { ...one, state: "DELIVERY_STATE_UNREAD" } : one));
    expect(failing(evidence(LINES, { inbox, unreadCount: 1 }))).toEqual(["ack", "history"]);
  });

  test("register: the bus knows nothing of it but its mail", () => {
    expect(failing(evidence(LINES, { description: "" }))).toEqual(["register"]);
  });

  test("history: the bus has one message more, or none", () => {
    expect(failing(evidence(LINES, { outbox: [...kept, message(5, "Note 2")] }))).toEqual(["history"]);
    expect(failing(evidence(LINES, { inbox: [] }))).toEqual(["history"]);
  });

  test("all: it said nothing", () => {
    expect(failing(evidence([]))).toEqual(Object.keys(STEPS));
  });
});

test("two reports are alike but for ids, names, times and the order of what came", () => {
  const other = changed("987", "3").map((line) => line.replaceAll("id-", "no-").replace("\tgo\t", "\tjava\t"));
  const of = (lines: readonly string[]) => gist(readReport(lines.join("\n")));
  expect(of(other)).toBe(of(LINES));
  expect(of(changed("🚀", "?"))).not.toBe(of(LINES));
  expect(of(without("acked\t2"))).not.toBe(of(LINES));
});
