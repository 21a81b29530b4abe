/** Shows a draft: as a row, as a text, as a document. It must not know how drafts are kept. */
import type { Draft, DraftHead } from "../client/outbox/draft.ts";
import { oneLine, withoutControls } from "./visible-text.ts";

/** Of a reason in a table; `outbox show` has it whole. */
const MAX_REASON = 100;

export const HEADINGS = ["ID", "STATE", "FROM", "TO", "AGE", "SUBJECT", "REASON"];

export function draftRow(draft: DraftHead, now: number): string[] {
  const { id, state, sender, recipient, keptAt, subject, reason } = draft;
  const short = reason.length > MAX_REASON ? `${reason.slice(0, MAX_REASON)}…` : reason;
  return [String(id), state, sender, recipient, ageText(now - keptAt), subject, short];
}

/** Whole units, the largest that there is one of: "12s", "5m", "3h", "2d". */
function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

export function draftText(draft: Draft, onTerminal: boolean): string {
  const headings: readonly (readonly [string, string])[] = [
    ["Draft", String(draft.id)],
    ["State", draft.state],
    ["Because", draft.reason],
    ["Tried-Again", timeText(draft.retryAt)],
    ["May-Have-Arrived", draft.mayHaveArrived ? "yes; a repeat is stored once" : ""],
    ["Bus", draft.bus],
    ["From", draft.sender],
    ["To", draft.recipient],
    ["Kept", timeText(draft.keptAt)],
    ["Expires", timeText(draft.deadlineAt)],
    ["Request-Id", draft.requestId],
    ["In-Reply-To", draft.inReplyTo ?? ""],
    ["Subject", draft.subject],
  ];
  const head = headings.filter(([name, value]) => value !== "" || name === "Subject");
  const body = onTerminal ? withoutControls(draft.body) : draft.body;
  return [
    ...head.map(([name, value]) => `${name}: ${oneLine(value)}\n`),
    `\n${body}${body === "" || body.endsWith("\n") ? "" : "\n"}`,
    `--- end of draft ${draft.id} ---\n`,
  ].join("");
}

/** Without the body. */
export function draftDocument(draft: DraftHead) {
  return {
    id: draft.id,
    state: draft.state,
    reason: draft.reason,
    retryTime: timeText(draft.retryAt) || null,
    mayHaveArrived: draft.mayHaveArrived,
    bus: draft.bus,
    from: draft.sender,
    to: draft.recipient,
    subject: draft.subject,
    requestId: draft.requestId,
    inReplyTo: draft.inReplyTo ?? null,
    includeSender: draft.includeSender,
    keptTime: timeText(draft.keptAt),
    expireTime: timeText(draft.deadlineAt) || null,
  };
}

function timeText(ms: number | undefined): string {
  return ms === undefined ? "" : new Date(ms).toISOString();
}
