/** Shows a watch on a terminal, redrawn in place, and leaves the terminal as it was. It must not know how it is looked. */
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import type { Agent } from "#gen/agentbus/v1/agent_pb.js";
import type { Message } from "#gen/agentbus/v1/message_pb.js";
import { alignColumns } from "./align-columns.ts";
import { durationText } from "./duration.ts";
import { cutText, oneLine } from "./visible-text.ts";
import type { View } from "./watch-changes.ts";
import type { Fleet, Look } from "./watch-fleet.ts";
import { writeOut } from "./write-output.ts";

// What every terminal since the VT100 obeys; the second screen keeps what stood there before.
const ENTER = "\u001b[?1049h\u001b[?25l";
const LEAVE = "\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const CLEAR_TO_LINE_END = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";
const CTRL_C = "\u0003";

const MAX_MAIL_ROWS = 8;

export function openScreen(urls: readonly string[], leave: () => void): View {
  const { stdin, stdout } = process;
  let fleet: Fleet | undefined;
  let outage: string | undefined;
  const draw = () => {
    const { rows = 24, columns = 80 } = stdout;
    const lines = screenLines(urls, fleet, outage, rows - 1).map((line) => cutText(line, columns));
    return writeOut(HOME + lines.map((line) => `${line}${CLEAR_TO_LINE_END}\n`).join("") + CLEAR_BELOW);
  };
  const redraw = () => void draw().catch(() => {});
  const onKey = (key: Buffer) => {
    if (/^q$/i.test(key.toString()) || key.toString() === CTRL_C) leave();
  };
  stdout.write(ENTER);
  stdout.on("resize", redraw);
  if (stdin.isTTY) {
    stdin.setRawMode(true);
    stdin.on("data", onKey);
  }
  return {
    show(look: Look) {
      if ("outage" in look) outage = look.outage;
      else [fleet, outage] = [look, undefined];
      return draw();
    },
    close() {
      stdout.off("resize", redraw);
      if (stdin.isTTY) {
        stdin.off("data", onKey);
        stdin.setRawMode(false);
        stdin.pause();
      }
      stdout.write(LEAVE);
    },
  };
}

/** At most `height` lines: of mail a few, of agents as many as fit, the most urgent first. */
function screenLines(urls: readonly string[], fleet: Fleet | undefined, outage: string | undefined, height: number) {
  const head = [`agentbus at ${urls.join(", ")}    q leaves`];
  if (outage !== undefined) head.push(oneLine(outage));
  if (fleet === undefined) return head;
  const { agents, mail, at } = fleet;
  const sum = (count: (agent: Agent) => number) => agents.reduce((total, agent) => total + count(agent), 0);
  const unread = sum((agent) => agent.unreadCount);
  const dead = sum((agent) => agent.deadCount);
  head.push(`${at.toISOString()}  agents: ${agents.length}, unread: ${unread}, dead: ${dead}`, "");
  const tail = mail.length === 0 ? [] : ["", ...mailLines(mail.slice(0, MAX_MAIL_ROWS), at)];
  const table = agentLines(agents, at);
  const room = Math.max(2, height - head.length - tail.length);
  const shown = table.length <= room ? table : [...table.slice(0, room - 1), `and ${table.length - room + 1} more`];
  return [...head, ...shown, ...tail].slice(0, height);
}

function agentLines(agents: readonly Agent[], at: Date): string[] {
  const rows = agents
    .toSorted((a, b) => urgency(b) - urgency(a) || millis(a.oldestUnreadTime) - millis(b.oldestUnreadTime))
    .map(({ name, unreadCount, oldestUnreadTime, deadCount, lastSeenTime, description }) => [
      name,
      String(unreadCount),
      age(oldestUnreadTime, at),
      String(deadCount),
      age(lastSeenTime, at),
      description,
    ]);
  return linesOf([["NAME", "UNREAD", "OLDEST", "DEAD", "LAST SEEN", "DESCRIPTION"], ...rows]);
}

/** What waits comes before what died, that before what is quiet. */
function urgency({ unreadCount, deadCount }: Agent): number {
  if (unreadCount > 0) return 2;
  return deadCount > 0 ? 1 : 0;
}

function mailLines(mail: readonly Message[], at: Date): string[] {
  const rows = mail.map(({ timestamp, sender, recipient, subject, body }) => [
    age(timestamp, at),
    sender,
    recipient,
    subject,
    body,
  ]);
  return linesOf([["RECEIVED", "FROM", "TO", "SUBJECT", "BODY"], ...rows]);
}

function linesOf(rows: readonly (readonly string[])[]): string[] {
  return alignColumns(rows).trimEnd().split("\n");
}

function millis(time: Timestamp | undefined): number {
  return time === undefined ? 0 : timestampDate(time).getTime();
}

function age(time: Timestamp | undefined, at: Date): string {
  return time === undefined ? "" : `${durationText(at.getTime() - millis(time))} ago`;
}
