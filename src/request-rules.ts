/**
 * The one table of what a request may hold; the proto's comments state the same rules. It judges plain request objects
 * and knows neither how they came nor what they do. Clamped values are not here: those are the bus's.
 */
import { type FieldViolation, invalidFields } from "./errors.ts";
import {
  ALL,
  BUS,
  foldName,
  MAX_BATCH_ITEMS,
  MAX_DESCRIPTION_BYTES,
  MAX_IDS,
  MAX_LEASE_SECONDS,
  MAX_MESSAGE_ID_LENGTH,
  MAX_NAME_LENGTH,
  MAX_REQUEST_ID_LENGTH,
  MAX_SEARCH_BYTES,
  MAX_SUBJECT_BYTES,
  MAX_TRACEPARENT_LENGTH,
  MAX_TTL_SECONDS,
  utf8Bytes,
} from "./message.ts";
import { searchWords } from "./search-words.ts";

/** Says what is wrong with a value, "must …"; undefined: nothing. */
type Rule = (value: unknown, limits: RequestLimits) => string | undefined;
/** A property's name in JSON, its rule, and the reason where that is not INVALID_FIELD. */
type Row = readonly [json: string, rule: Rule, reason?: "BODY_TOO_LARGE"];

/** Limits that a person may set. */
export interface RequestLimits {
  readonly maxBodyBytes: number;
}

const NAME = new RegExp(`^[a-z0-9][a-z0-9._-]{0,${MAX_NAME_LENGTH - 1}}$`);
const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

/** What a text looks like in an error: short, and on one line. */
function quote(value: unknown): string {
  return JSON.stringify(typeof value === "string" && value.length > 70 ? `${value.slice(0, 67)}…` : value);
}

function nameRule(names: "agents" | "agents and ALL" | "any agent" = "agents"): Rule {
  return (value) => {
    if (value === "") return "is required: the name of an agent";
    const name = foldName(value as string);
    if (name === ALL) return names === "agents and ALL" ? undefined : `must be one agent, not ${ALL}`;
    if (name === BUS && names !== "any agent") return `must not be "${BUS}": that name is the bus's own`;
    return NAME.test(name)
      ? undefined
      : `must be 1-${MAX_NAME_LENGTH} of a-z 0-9 . _ - and start with a letter or digit, not ${quote(value)}`;
  };
}

const wellFormed: Rule = (value) => {
  if ((value as string).includes("\0")) return "must not contain U+0000";
  return (value as string).isWellFormed() ? undefined : "must not contain a lone surrogate";
};

function sizeRule(maxBytes: (limits: RequestLimits) => number): Rule {
  return (value, limits) => {
    const text = value as string;
    const max = maxBytes(limits);
    // No character takes more than 3 bytes for each UTF-16 unit: short texts need no count.
    if (text.length * 3 <= max) return undefined;
    const size = utf8Bytes(text);
    return size <= max ? undefined : `must be at most ${max} bytes of UTF-8, not ${size}; send a link or split it`;
  };
}

/** Well-formed text of at most `maxBytes` bytes of UTF-8. */
function textRule(maxBytes: number): Rule {
  const size = sizeRule(() => maxBytes);
  return (value, limits) => wellFormed(value, limits) ?? size(value, limits);
}

function tokenRule(max: number): Rule {
  return (value) => {
    const text = value as string;
    return text.length <= max && VISIBLE_ASCII.test(text)
      ? undefined
      : `must be 1-${max} visible ASCII characters, not ${quote(value)}`;
  };
}

function integerRule(min: number, max: number): Rule {
  return (value) =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= max
      ? undefined
      : `must be ${min}-${max}, not ${String(value)}`;
}

function listRule(min: number, max: number): Rule {
  return (value) => {
    const { length } = value as unknown[];
    return length >= min && length <= max ? undefined : `must be ${min}-${max} items, not ${length}`;
  };
}

/** At least 0; what is above a limit is clamped, not refused. */
const clamped = integerRule(0, 2 ** 31 - 1);
const subject = textRule(MAX_SUBJECT_BYTES);
const requestId = tokenRule(MAX_REQUEST_ID_LENGTH);
const traceparent = tokenRule(MAX_TRACEPARENT_LENGTH);
const messageId = tokenRule(MAX_MESSAGE_ID_LENGTH);
const pageToken = textRule(4096);
/** 9999-12-31: the last time that JSON can name. */
const MAX_TIME = 253_402_300_799_999;

const searchable: Rule = (value, limits) =>
  textRule(MAX_SEARCH_BYTES)(value, limits) ??
  (searchWords(value as string).length > 0 ? undefined : "must have a word to search for");

const body: Row[] = [
  ["body", wellFormed],
  ["body", sizeRule((limits) => limits.maxBodyBytes), "BODY_TOO_LARGE"],
];

const send = {
  sender: ["from", nameRule()],
  recipient: ["to", nameRule("agents and ALL")],
  subject: ["subject", subject],
  body,
  inReplyTo: ["inReplyTo", messageId],
  ttlSeconds: ["ttlSeconds", integerRule(1, MAX_TTL_SECONDS)],
  requestId: ["requestId", requestId],
  traceparent: ["traceparent", traceparent],
} as const satisfies Record<string, Row | Row[]>;

/** Property of the request -> its name in JSON and its rule. An absent property is not judged. */
const rules = {
  Send: send,
  SendBatch: { requests: ["requests", listRule(1, MAX_BATCH_ITEMS)] },
  SendBatchItem: { ...send, recipient: ["to", nameRule()] },
  // It has no recipient, and what is absent is not judged.
  Broadcast: send,
  PullInbox: {
    agent: ["agent", nameRule()],
    maxMessages: ["maxMessages", clamped],
    maxBytes: ["maxBytes", clamped],
    maxBodyBytes: ["maxBodyBytes", clamped],
    waitSeconds: ["waitSeconds", clamped],
    leaseSeconds: ["leaseSeconds", integerRule(0, MAX_LEASE_SECONDS)],
    requestId: ["requestId", requestId],
  },
  Ack: {
    agent: ["agent", nameRule()],
    messageIds: ["messageIds", listRule(1, MAX_IDS)],
    leaseId: ["leaseId", messageId],
  },
  ModifyLease: {
    agent: ["agent", nameRule()],
    leaseId: ["leaseId", messageId],
    leaseSeconds: ["leaseSeconds", integerRule(0, MAX_LEASE_SECONDS)],
    messageIds: ["messageIds", listRule(0, MAX_IDS)],
  },
  RegisterAgent: {
    agent: ["agent", nameRule()],
    description: ["description", textRule(MAX_DESCRIPTION_BYTES)],
  },
  ListAgents: {
    pageSize: ["pageSize", clamped],
    pageToken: ["pageToken", pageToken],
    query: ["query", textRule(MAX_DESCRIPTION_BYTES)],
  },
  RemoveAgent: { agent: ["agent", nameRule()] },
  RedriveDeadLetters: { agent: ["agent", nameRule()], messageIds: ["messageIds", listRule(0, MAX_IDS)] },
  ListMessages: {
    agent: ["agent", nameRule()],
    peer: ["peer", nameRule("any agent")],
    inReplyTo: ["inReplyTo", messageId],
    text: ["text", searchable],
    since: ["sinceTime", integerRule(0, MAX_TIME)],
    until: ["untilTime", integerRule(0, MAX_TIME)],
    pageSize: ["pageSize", clamped],
    pageToken: ["pageToken", pageToken],
    maxBodyBytes: ["maxBodyBytes", clamped],
  },
  GetMessage: { agent: ["agent", nameRule()], messageId: ["messageId", messageId] },
  GetReceipt: {
    messageId: ["messageId", messageId],
    pageSize: ["pageSize", clamped],
    pageToken: ["pageToken", pageToken],
  },
} as const satisfies Record<string, Record<string, Row | Row[]>>;

export type RequestKind = keyof typeof rules;

const isRow = (rows: Row | Row[]): rows is Row => typeof rows[0] === "string";

/** All that is wrong with a request; empty: nothing. */
export function violationsOf(kind: RequestKind, request: object, limits: RequestLimits): FieldViolation[] {
  const found: FieldViolation[] = [];
  for (const [property, rows] of Object.entries(rules[kind])) {
    const value = (request as Record<string, unknown>)[property];
    if (value === undefined) continue;
    for (const [field, rule, reason] of isRow(rows) ? [rows] : rows) {
      const description = rule(value, limits);
      if (description !== undefined) found.push({ field, description, ...(reason && { reason }) });
    }
  }
  return found;
}

/** Throws INVALID_FIELD or BODY_TOO_LARGE when `more` or any rule of the table finds something wrong. */
export function checkRequest(
  kind: RequestKind,
  request: object,
  limits: RequestLimits,
  more: readonly FieldViolation[] = [],
): void {
  const found = [...violationsOf(kind, request, limits), ...more];
  if (found.length > 0) throw invalidFields(found);
}
