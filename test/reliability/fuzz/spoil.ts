/** Spoils good requests: in their JSON, in their bytes, in their headers, in the path. Each by chance that can be repeated. */
import type { Call } from "../../wire/http-calls.ts";
import { CONTENT_TYPES, callIn, envelope, isFramed, type Protocol } from "../../wire/rpc-forms.ts";
import type { Chance } from "../../wire/seeded-chance.ts";
import { anyGood, type GoodRequest, type Json } from "./good-requests.ts";

const BYTES = [0, 1, 9, 10, 13, 32, 34, 44, 48, 58, 91, 92, 93, 123, 125, 127, 128, 192, 237, 255];
const TOKENS = [
  "1e999",
  "-1",
  "2147483648",
  "9007199254740993",
  "0.5",
  "-0",
  '"\\ud800"',
  '"\\u0000"',
  "null",
  "{}",
  "[]",
  '"',
  "}",
  "\u{feff}",
];
const VALUES: readonly Json[] = [
  ...[
    null,
    true,
    false,
    0,
    -1,
    1.5,
    2 ** 31 - 1,
    2 ** 31,
    1e300,
    "",
    "0",
    "ALL",
    "bus",
    "NaN",
    "BOX_NONE",
    "x".repeat(129),
  ],
  ...["fuzz", "FUZZY", "é", "\u0000", "\ud800", "a/b", "../..", "'; drop table messages; --", "%00", "🚌".repeat(300)],
  ...[[], {}, [[]], [null], { x: 1 }, ["a", "a"], "9999-12-31T23:59:59.999999999Z", "0000-00-00T00:00:00Z", "1.5s"],
];
const NAMES = [
  "maxMesages",
  "__proto__",
  "constructor",
  "from",
  "to",
  "agent",
  "messageIds",
  "requests",
  "",
  "@type",
  "request_id",
];
const LARGE = 300_000;
const DEEP = 5000;
const TIMEOUT_MS = 1500;

/** A protocol that can be spoken over this version of HTTP only is never asked over the other. */
export interface Spoiled {
  readonly call: Call;
  readonly http2: boolean;
}

export function spoiled(chance: Chance): Spoiled {
  const good = anyGood(chance);
  const kind = chance.integer(10);
  if (kind === 0) return { call: plainSend(good, chance), http2: chance.integer(2) === 0 };
  if (kind === 1) return { call: plainInbox(chance), http2: chance.integer(2) === 0 };
  if (kind === 2 && !good.sideEffects) return { call: get(good, chance), http2: chance.integer(2) === 0 };
  const protocol = chance.pick(Object.keys(CONTENT_TYPES) as Protocol[]);
  const json = protocol.endsWith("json");
  const message = json ? spoiledJson(good.json, chance) : spoiledBytes(good.binary, chance);
  const framed = isFramed(protocol) ? spoiledEnvelope(message, chance) : message;
  const call = callIn(protocol, chance.integer(50) === 0 ? "Nothing" : good.method, framed, timeout(protocol));
  const http2 = protocol.startsWith("grpc") && !protocol.startsWith("grpc-web") ? true : chance.integer(2) === 0;
  return { call: { ...call, headers: spoiledHeaders(call.headers ?? {}, chance) }, http2 };
}

function timeout(protocol: Protocol): Record<string, string> {
  return isFramed(protocol) ? { "grpc-timeout": `${TIMEOUT_MS}m` } : { "connect-timeout-ms": String(TIMEOUT_MS) };
}

function plainSend(good: GoodRequest, chance: Chance): Call {
  const json = good.method === "Send" ? { ...good.json, timestamp: "then" } : good.json;
  return { path: "/api/send", body: spoiledJson(json, chance), headers: { "content-type": "application/json" } };
}

function plainInbox(chance: Chance): Call {
  const name = spoiledBytes(Buffer.from(chance.pick(["fuzzy", "other", "new"])), chance);
  const queries = [
    "mark_read=true",
    "mark_read=false&max_messages=2",
    "mark_read=true&request_id=q-1",
    "wait_seconds=0",
  ];
  const query = spoiledBytes(Buffer.from(chance.pick(queries)), chance).toString("latin1");
  const whole = `/api/inbox/${escaped(name.toString("latin1"))}?${escaped(query).replaceAll(/%3D/g, "=").replaceAll(/%26/g, "&")}`;
  // A call that waits would hold up the others.
  return {
    path: whole.replace(/wait_seconds=\d+/g, "wait_seconds=0"),
    method: chance.integer(20) === 0 ? "POST" : "GET",
  };
}

function get(good: GoodRequest, chance: Chance): Call {
  const json = chance.integer(2) === 0;
  const text = json
    ? spoiledJson(good.json, chance).toString("latin1")
    : spoiledBytes(good.binary, chance).toString("base64url");
  const query = json ? `encoding=json&message=${escaped(text)}` : `encoding=proto&base64=1&message=${text}`;
  return { path: `/agentbus.v1.MessageBus/${good.method}?connect=v1&${query}`.slice(0, 12_000), method: "GET" };
}

/** Latin-1 characters stand for their bytes. */
function escaped(latin1: string): string {
  return latin1.replaceAll(
    /[^A-Za-z0-9._~-]/g,
    (c) => `%${c.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`,
  );
}

/** JSON that is none, or that says something else. */
function spoiledJson(json: { readonly [name: string]: Json }, chance: Chance): Buffer {
  const kind = chance.integer(8);
  if (kind < 4) return Buffer.from(JSON.stringify(withOtherValue(json, chance)));
  const text = JSON.stringify(json);
  if (kind === 4) return Buffer.from(text.replace(/:("[^"]*"|\d+|true|false)/, () => `:${chance.pick(TOKENS)}`));
  if (kind === 5 && chance.integer(20) === 0) return Buffer.from(`${"[".repeat(DEEP)}${text}`);
  if (kind === 6 && chance.integer(20) === 0)
    return Buffer.from(text.replace(/"s"/, JSON.stringify("x".repeat(LARGE))));
  return spoiledBytes(Buffer.from(text), chance);
}

/** The same object with one value or name anywhere in it replaced, added or missing. */
function withOtherValue(json: Json, chance: Chance): Json {
  if (Array.isArray(json) && json.length > 0 && chance.integer(4) > 0) {
    const at = chance.integer(json.length);
    return json.map((item, i) => (i === at ? withOtherValue(item, chance) : item));
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) return chance.pick(VALUES);
  const entries = Object.entries(json);
  const at = chance.integer(entries.length + 1);
  const kind = chance.integer(4);
  if (kind === 0) entries.splice(at, 1);
  else if (kind === 1) entries.splice(at, 0, [chance.pick(NAMES), chance.pick(VALUES)]);
  return Object.fromEntries(
    entries.map(([name, value], i) => [name, i === at && kind > 1 ? withOtherValue(value, chance) : value]),
  );
}

/** One to four changes: a byte, a bit, a piece taken out, doubled or put in, or all of the rest cut off. */
function spoiledBytes(bytes: Uint8Array, chance: Chance): Buffer {
  let out = Buffer.from(bytes);
  for (let changes = 1 + chance.integer(4); changes > 0; changes--) {
    const at = chance.integer(out.length + 1);
    const length = 1 + chance.integer(8);
    const [before, after] = [out.subarray(0, at), out.subarray(at)];
    const change = chance.integer(6);
    if (change === 0) out = Buffer.concat([before, Buffer.from([chance.pick(BYTES)]), after.subarray(1)]);
    else if (change === 1 && at < out.length) out[at] = (out[at] as number) ^ (1 << chance.integer(8));
    else if (change === 2) out = Buffer.concat([before, after.subarray(length)]);
    else if (change === 3) out = Buffer.concat([before, after.subarray(0, length), after]);
    else if (change === 4) out = Buffer.concat([before, Buffer.alloc(length, chance.pick(BYTES)), after]);
    else if (chance.integer(4) === 0) out = Buffer.from(before);
  }
  return out;
}

function spoiledEnvelope(message: Buffer, chance: Chance): Buffer {
  const kind = chance.integer(12);
  if (kind === 0) return envelope(message, { flags: chance.pick([1, 2, 3, 128, 255]) });
  if (kind === 1) return envelope(message, { length: chance.pick([0, 1, message.length + 1, 2 ** 31, 2 ** 32 - 1]) });
  if (kind === 2) return Buffer.concat([envelope(message), envelope(message)]);
  if (kind === 3) return spoiledBytes(envelope(message), chance);
  return envelope(message);
}

const HEADERS: readonly (readonly [name: string, value: string])[] = [
  ...["application/json; charset=latin1", "application/grpc+xml", "text/plain", "APPLICATION/JSON", "application/"].map(
    (type) => ["content-type", type] as const,
  ),
  ...["gzip", "br", "zstd", "identity", "gzip, br"].flatMap((coding) =>
    ["content-encoding", "grpc-encoding", "accept-encoding", "grpc-accept-encoding"].map(
      (name) => [name, coding] as const,
    ),
  ),
  ...["1n", "0m", "99999999H", "1", "m", "-1S", "123456789m"].map((time) => ["grpc-timeout", time] as const),
  ...["1", "0", "-1", "1e3", "99999999999", "x"].map((ms) => ["connect-timeout-ms", ms] as const),
  ...["x-bus-token", "authorization", "traceparent", "x-bin", "connect-protocol-version", "x-http-method-override"].map(
    (name) => [name, "!@#$ %^&*()"] as const,
  ),
  ...([
    ["origin", "http://localhost:1"],
    ["origin", "null"],
    ["accept", "nothing/at-all"],
  ] as const),
];

function spoiledHeaders(headers: Readonly<Record<string, string>>, chance: Chance): Record<string, string> {
  if (chance.integer(8) > 0) return headers;
  const [name, value] = chance.pick(HEADERS);
  return { ...headers, [name]: value };
}
