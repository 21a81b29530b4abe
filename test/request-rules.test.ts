/** Every row of the table of request-rules.ts: below, at and beyond each limit, and texts that are none. */

import { describe, expect, test } from "vitest";
import { BusError } from "#dist/errors.js";
import { checkRequest, type RequestKind, violationsOf } from "#dist/request-rules.js";

const LIMITS = { maxBodyBytes: 5000 };
const INT32 = 2 ** 31 - 1;

/** What one property may be and what it may not. */
interface Judged {
  /** In JSON, where it differs from the property's name. */
  readonly json?: string;
  readonly allowed: readonly unknown[];
  readonly refused: readonly unknown[];
  /** Refused with BODY_TOO_LARGE. */
  readonly tooLarge?: readonly unknown[];
}

const NO_NAMES = [
  "",
  "a".repeat(65),
  "-a",
  ".a",
  "_a",
  "a b",
  " a",
  "a ",
  "a/b",
  "a@b",
  "é",
  "__proto__",
  "a\0",
  "\ud800",
];
// The Kelvin sign and the dotless and dotted i's fold to letters in Unicode, but they are none of ours.
const FALSE_LETTERS = ["\u212aim", "jac\u212a", "\u0130da", "\u0131da", "\u017fam", "A\u212a", "\uff41"];

const agent: Judged = {
  allowed: ["a", "0", "a".repeat(64), "Jack", "JACK", "a.b_c-d", "9-lives", "constructor", "toString", "bus2", "allx"],
  refused: [...NO_NAMES, ...FALSE_LETTERS, "bus", "BUS", "Bus", "ALL", "all", "All"],
};
const from: Judged = { ...agent, json: "from" };
const oneAgent: Judged = { ...agent, json: "to" };
const toAnyone: Judged = {
  json: "to",
  allowed: [...agent.allowed, "ALL", "all", "All", "aLL"],
  refused: [...NO_NAMES, ...FALSE_LETTERS, "bus", "BUS", "A\u217fL"],
};
/** A bounce comes from it. */
const peer: Judged = {
  allowed: [...agent.allowed, "bus", "BUS"],
  refused: [...NO_NAMES, ...FALSE_LETTERS, "ALL", "all"],
};

const NO_TEXTS = ["\0", "a\0b", "\ud800", "\udc00", "a\ud83d", "\udd80a", "\udd80\ud83e"];

function text(maxBytes: number): Judged {
  return {
    allowed: [
      "",
      "x",
      "__proto__",
      "line\r\n\ttab \u0001\u007f\ufeff\ufffd\uffff\u{10ffff}",
      "x".repeat(maxBytes - 1),
      "x".repeat(maxBytes),
      "é".repeat(maxBytes / 2),
      "\u{1f980}".repeat(maxBytes / 4),
    ],
    refused: [
      "x".repeat(maxBytes + 1),
      "é".repeat(maxBytes / 2 + 1),
      `x${"é".repeat(maxBytes / 2)}`,
      `${"\u{1f980}".repeat(maxBytes / 4)}x`,
      ...NO_TEXTS,
    ],
  };
}

const body: Judged = {
  allowed: text(LIMITS.maxBodyBytes).allowed,
  refused: NO_TEXTS,
  tooLarge: ["x".repeat(5001), "é".repeat(2501), `${"\u{1f980}".repeat(1250)}x`, "x".repeat(1_000_000)],
};

function token(max: number): Judged {
  return {
    allowed: ["x", "!", "~", "__proto__", "constructor", "x".repeat(max - 1), "x".repeat(max)],
    refused: ["", "x".repeat(max + 1), "a b", " ", "\n", "x\n", "\x7f", "\x1f", "é", "\0", "\ud800", "\u{1f980}"],
  };
}

function integer(min: number, max: number): Judged {
  return {
    allowed: [min, min + 1, max - 1, max],
    refused: [min - 1, max + 1, -INT32, min + 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  };
}

function list(min: number, max: number): Judged {
  const items = (length: number) => Array.from({ length }, (_, i) => `${i}`);
  return { allowed: [items(min), items(max - 1), items(max)], refused: [items(max + 1), ...(min > 0 ? [[]] : [])] };
}

/** Negative numbers are refused; what is above a limit is clamped elsewhere. */
const clamped = integer(0, INT32);
const messageId = token(128);
const pageToken = text(4096);

const judged: Record<RequestKind, Record<string, Judged>> = {
  Send: {
    sender: from,
    recipient: toAnyone,
    subject: text(1024),
    body,
    inReplyTo: messageId,
    ttlSeconds: integer(1, 31_536_000),
    requestId: token(128),
    traceparent: token(55),
  },
  SendBatch: { requests: list(1, 1000) },
  SendBatchItem: { recipient: oneAgent },
  Broadcast: {
    sender: from,
    subject: text(1024),
    body,
    inReplyTo: messageId,
    ttlSeconds: integer(1, 31_536_000),
    requestId: token(128),
    traceparent: token(55),
  },
  PullInbox: {
    agent,
    maxMessages: clamped,
    maxBytes: clamped,
    maxBodyBytes: clamped,
    waitSeconds: clamped,
    leaseSeconds: integer(0, 43_200),
    requestId: token(128),
  },
  Ack: { agent, messageIds: list(1, 1000), leaseId: token(128) },
  ModifyLease: {
    agent,
    leaseId: token(128),
    leaseSeconds: integer(0, 43_200),
    messageIds: list(0, 1000),
  },
  RegisterAgent: { agent, description: text(1024) },
  ListAgents: { pageSize: clamped, pageToken, query: text(1024) },
  RemoveAgent: { agent },
  RedriveDeadLetters: { agent, messageIds: list(0, 1000) },
  ListMessages: {
    agent,
    peer,
    inReplyTo: messageId,
    text: {
      allowed: ["word", "two words", "x".repeat(1024), "é".repeat(512), "1", "猫"],
      refused: ["x".repeat(1025), "é".repeat(513), "", " ", "-!?", ...NO_TEXTS],
    },
    since: { ...integer(0, Date.UTC(9999, 11, 31, 23, 59, 59, 999)), json: "sinceTime" },
    until: { ...integer(0, Date.UTC(9999, 11, 31, 23, 59, 59, 999)), json: "untilTime" },
    pageSize: clamped,
    pageToken,
    maxBodyBytes: clamped,
  },
  GetMessage: { agent, messageId },
  GetReceipt: { messageId, pageSize: clamped, pageToken },
};

interface Row extends Judged {
  readonly kind: RequestKind;
  readonly property: string;
  readonly name: string;
}

const rows = (Object.keys(judged) as RequestKind[]).flatMap((kind) =>
  Object.entries(judged[kind]).map(
    ([property, one]): Row => ({
      ...one,
      kind,
      property,
      name: `${kind}.${one.json ?? property}`,
    }),
  ),
);

/** A value as it may stand in a failed assertion. */
function shown(value: unknown): string {
  const written = JSON.stringify(Array.isArray(value) ? value.length : value);
  return written === undefined || written.length < 40
    ? String(written)
    : `${written.slice(0, 40)}… (${written.length})`;
}

describe("a request", () => {
  test.for(rows)("may have in $name whatever is within its limits", ({ kind, property, allowed }) => {
    const wrong = allowed.filter((value) => violationsOf(kind, { [property]: value }, LIMITS).length > 0);
    expect(wrong.map(shown)).toEqual([]);
    expect(allowed.length).toBeGreaterThan(0);
  });

  test.for(rows)("may not have in $name what is beyond its limits, and is told the field", (row) => {
    for (const value of row.refused) {
      const found = violationsOf(row.kind, { [row.property]: value }, LIMITS);
      expect(found, shown(value)).toEqual([
        { field: row.json ?? row.property, description: expect.stringMatching(/^(must|is required)/) },
      ]);
    }
    expect(row.refused.length).toBeGreaterThan(0);
  });

  test("may leave out whatever it likes here: what is required is an empty value", () => {
    for (const kind of Object.keys(judged) as RequestKind[]) expect(violationsOf(kind, {}, LIMITS), kind).toEqual([]);
  });

  test.for(["Send", "Broadcast"] as const)("is told BODY_TOO_LARGE by %s when only the body is too large", (kind) => {
    for (const value of body.tooLarge ?? []) {
      const check = () => checkRequest(kind, { sender: "joe", recipient: "jack", body: value }, LIMITS);
      expect(check).toThrow(BusError);
      expect(check).toThrow(/^BODY_TOO_LARGE: body must be at most 5000 bytes of UTF-8, not \d+/);
    }
  });

  test("is judged by the limits of this bus", () => {
    expect(violationsOf("Send", { body: "12345" }, { maxBodyBytes: 4 })).toMatchObject([{ reason: "BODY_TOO_LARGE" }]);
    expect(violationsOf("Send", { body: "1234" }, { maxBodyBytes: 4 })).toEqual([]);
  });
});

describe("a refusal", () => {
  test("names every field that is wrong, with its limit and the actual value", () => {
    const request = { sender: "", recipient: "a b", subject: "x".repeat(1025), body: "", ttlSeconds: 0 };
    const check = () => checkRequest("Send", request, LIMITS);
    expect(check).toThrow(/^INVALID_FIELD: /);
    expect(check).toThrow(/from is required/);
    expect(check).toThrow(/to must be 1-64 of .* not "a b"/);
    expect(check).toThrow(/subject must be at most 1024 bytes of UTF-8, not 1025/);
    expect(check).toThrow(/ttlSeconds must be 1-31536000, not 0/);
  });

  test("of a large body among other faults is INVALID_FIELD, with both told", () => {
    const check = () => checkRequest("Send", { sender: "", body: "x".repeat(5001) }, LIMITS);
    expect(check).toThrow(/^INVALID_FIELD: from is required.*body must be at most 5000/);
  });

  test("adds what its caller found to what the table finds", () => {
    const more = [{ field: "markRead", description: "must not be" }];
    const check = () => checkRequest("PullInbox", { agent: "a b" }, LIMITS, more);
    expect(check).toThrow(/agent must be.*markRead must not be/);
    expect(() => checkRequest("PullInbox", { agent: "jack" }, LIMITS, more)).toThrow(
      "INVALID_FIELD: markRead must not be",
    );
  });

  test("stays short and on one line, whatever was sent", () => {
    const [violation] = violationsOf("Send", { sender: `\n${"x".repeat(100_000)}` }, LIMITS);
    expect(violation?.description.length).toBeLessThan(250);
    expect(violation?.description).not.toContain("\n");
  });

  test("is not made by properties that the table does not have", () => {
    const request = { constructor: 1, toString: 2, hasOwnProperty: 3, ["__proto__"]: { agent: "a b" }, other: "\0" };
    expect(violationsOf("RemoveAgent", { ...request, agent: "jack" }, LIMITS)).toEqual([]);
  });
});
