/**
 * Three thousand requests, good ones with some bytes changed, over every protocol: on the raw connection, in the body, in
 * the frames. A failure names its seed and request; AGENTBUS_FUZZ_SEED=N repeats it, or tries another.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  AckRequestSchema,
  GetReceiptRequestSchema,
  ListAgentsRequestSchema,
  ListMessagesRequestSchema,
  ModifyLeaseRequestSchema,
  PullInboxRequestSchema,
  RedriveDeadLettersRequestSchema,
  RegisterAgentRequestSchema,
  SendBatchRequestSchema,
  SendRequestSchema,
} from "#gen/agentbus/v1/message_bus_pb.js";
import { type BesiegedBus, besiegedBus } from "./besieged-bus.ts";
import { expectDecent } from "./decent-refusal.ts";
import { type Call, type Caller, overHttp1, overHttp2 } from "./http-calls.ts";
import { callHeaders, END_HEADERS, END_STREAM, frame, PREFACE, Type } from "./http2-frames.ts";
import { answersIn, RawSocket } from "./raw-socket.ts";
import {
  CONTENT_TYPES,
  callIn,
  connectError,
  envelope,
  isFramed,
  type Protocol,
  type Refused,
  refusedIn,
} from "./rpc-forms.ts";
import { type Chance, chanceOf } from "./seeded-chance.ts";

const SEED = Number(process.env["AGENTBUS_FUZZ_SEED"] ?? 20_251_122);
const ROUNDS = 60;
/** Under way at once. */
const BATCH = 50;
/** A connection that was sent something broken may wait for more: this long is waited for its answer. */
const RAW_MS = 250;
const ANSWER_MS = 10_000;

const request = { sender: "fuzz", recipient: "fuzzy", subject: "s", body: "bödy", requestId: "r-1", ttlSeconds: 60 };

/** Methods with a good request each, in JSON and binary. A broadcast would reach those who must be left alone. */
const goods: readonly { method: string; json: string; binary: Uint8Array }[] = [
  {
    method: "Send",
    json: JSON.stringify({ from: "fuzz", to: "fuzzy", subject: "s", body: "bödy", requestId: "r-1", ttlSeconds: 60 }),
    binary: toBinary(SendRequestSchema, create(SendRequestSchema, request)),
  },
  {
    method: "SendBatch",
    json: JSON.stringify({
      requests: [
        { from: "fuzz", to: "fuzzy" },
        { from: "fuzz", to: "other", body: "x" },
      ],
    }),
    binary: toBinary(SendBatchRequestSchema, create(SendBatchRequestSchema, { requests: [request, request] })),
  },
  {
    method: "PullInbox",
    json: JSON.stringify({ agent: "fuzzy", maxMessages: 3, maxBodyBytes: 2, leaseSeconds: 1, requestId: "p-1" }),
    binary: toBinary(PullInboxRequestSchema, create(PullInboxRequestSchema, { agent: "fuzzy", markRead: true })),
  },
  {
    method: "Ack",
    json: JSON.stringify({ agent: "fuzzy", messageIds: ["01a20456-542c-74ab-966b-1e5638b78735"], leaseId: "x" }),
    binary: toBinary(AckRequestSchema, create(AckRequestSchema, { agent: "fuzzy", messageIds: ["a", "b"] })),
  },
  {
    method: "ModifyLease",
    json: JSON.stringify({ agent: "fuzzy", leaseId: "x", leaseSeconds: 0, messageIds: ["a"] }),
    binary: toBinary(ModifyLeaseRequestSchema, create(ModifyLeaseRequestSchema, { agent: "fuzzy", leaseId: "x" })),
  },
  {
    method: "RegisterAgent",
    json: JSON.stringify({ agent: "fuzz", description: "a fuzzer" }),
    binary: toBinary(RegisterAgentRequestSchema, create(RegisterAgentRequestSchema, { agent: "fuzz" })),
  },
  {
    method: "ListMessages",
    json: JSON.stringify({
      agent: "fuzzy",
      box: "BOX_SENT",
      text: "b",
      sinceTime: "2026-01-01T00:00:00Z",
      pageSize: 1,
    }),
    binary: toBinary(
      ListMessagesRequestSchema,
      create(ListMessagesRequestSchema, {
        agent: "fuzzy",
        untilTime: { seconds: 1_800_000_000n, nanos: 5 },
        peer: "x",
      }),
    ),
  },
  {
    method: "RedriveDeadLetters",
    json: JSON.stringify({ agent: "fuzzy", messageIds: ["a"] }),
    binary: toBinary(RedriveDeadLettersRequestSchema, create(RedriveDeadLettersRequestSchema, { agent: "fuzzy" })),
  },
  {
    method: "GetReceipt",
    json: JSON.stringify({ messageId: "01a20456-542c-74ab-966b-1e5638b78735", pageSize: 2 }),
    binary: toBinary(GetReceiptRequestSchema, create(GetReceiptRequestSchema, { messageId: "x", pageToken: "y" })),
  },
  {
    method: "ListAgents",
    json: JSON.stringify({ pageSize: 2, pageToken: "", query: "f", includeUnregistered: true }),
    binary: toBinary(ListAgentsRequestSchema, create(ListAgentsRequestSchema, { query: "f", pageToken: "x" })),
  },
];

const INTERESTING = [0, 1, 9, 10, 13, 32, 34, 44, 58, 92, 123, 125, 127, 128, 192, 255];

/** One to four changes: a byte, a bit, a piece taken out, doubled, put in, or all of the rest cut off. */
function mutated(bytes: Uint8Array, chance: Chance): Buffer {
  let out = Buffer.from(bytes);
  for (let changes = 1 + chance.integer(4); changes > 0; changes--) {
    const at = chance.integer(out.length + 1);
    const length = 1 + chance.integer(8);
    const [before, after] = [out.subarray(0, at), out.subarray(at)];
    const byte = Buffer.from([chance.pick(INTERESTING)]);
    const change = chance.integer(6);
    if (change === 0) out = Buffer.concat([before, byte, after.subarray(1)]);
    else if (change === 1 && at < out.length) out[at] = (out[at] as number) ^ (1 << chance.integer(8));
    else if (change === 2) out = Buffer.concat([before, after.subarray(length)]);
    else if (change === 3) out = Buffer.concat([before, after.subarray(0, length), after]);
    else if (change === 4) out = Buffer.concat([before, Buffer.alloc(length, byte), after]);
    else if (chance.integer(4) === 0) out = Buffer.from(before);
  }
  return out;
}

const PROTOCOLS = Object.keys(CONTENT_TYPES) as Protocol[];

/** A call whose HTTP is whole and whose body is not. */
function mutatedCall(chance: Chance): Call {
  const { method, json, binary } = chance.pick(goods);
  if (chance.integer(6) === 0) return { path: "/api/send", body: mutated(Buffer.from(json), chance) };
  const protocol = chance.pick(PROTOCOLS);
  const message = protocol.endsWith("json") ? Buffer.from(json) : binary;
  if (!isFramed(protocol)) return callIn(protocol, method, mutated(message, chance));
  // Either the message is wrong in a right envelope, or all of it is.
  const body = chance.integer(2) === 0 ? envelope(mutated(message, chance)) : mutated(envelope(message), chance);
  return callIn(protocol, method, body);
}

/** All bytes of a request over HTTP/1.1. */
function rawRequest(chance: Chance): Buffer {
  const { method, json } = chance.pick(goods);
  const body = Buffer.from(json);
  const heads = [
    `POST /api/send HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n`,
    `POST /agentbus.v1.MessageBus/${method} HTTP/1.1\r\nHost: 127.0.0.1:8091\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnect-Timeout-Ms: 1000\r\n\r\n`,
  ];
  const gets = [
    "GET /api/inbox/fuzzy?mark_read=true&max_messages=2&request_id=q-1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /agentbus.v1.MessageBus/ListAgents?connect=v1&encoding=json&message=%7B%22pageSize%22%3A2%7D HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /healthz HTTP/1.0\r\nHost: [::1]:8091\r\nConnection: keep-alive\r\n\r\n",
  ];
  const chunked = `POST /api/send HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n`;
  const whole = chance.pick([
    ...heads.map((head) => Buffer.concat([Buffer.from(head), body])),
    ...gets.map((get) => Buffer.from(get)),
    Buffer.concat([Buffer.from(chunked), body, Buffer.from("\r\n0\r\n\r\n")]),
  ]);
  return mutated(chance.integer(4) === 0 ? Buffer.concat([whole, whole]) : whole, chance);
}

/** All bytes of calls over HTTP/2; the preface stays, or it would be HTTP/1.1. */
function rawFrames(chance: Chance): Buffer {
  const { method, json } = chance.pick(goods);
  const frames = [frame(Type.SETTINGS, 0, 0), frame(Type.PING, 0, 0, Buffer.alloc(8))];
  for (const stream of [1, 3]) {
    frames.push(frame(Type.HEADERS, END_HEADERS, stream, callHeaders(method, "application/json")));
    frames.push(frame(Type.DATA, END_STREAM, stream, Buffer.from(json)));
  }
  return Buffer.concat([PREFACE, mutated(Buffer.concat(frames), chance)]);
}

/** The bus understood it and has its reasons: what is changed may be right all the same. */
const REASONED = ["already_exists", "not_found", "failed_precondition"];

function expectReasonable(refused: Refused, what: string): void {
  if (!REASONED.includes(refused.code)) expectDecent(refused, what);
}

async function callMutated(callers: readonly Caller[], chance: Chance): Promise<string> {
  const call = mutatedCall(chance);
  const overHttp = call.headers?.["content-type"]?.startsWith("application/grpc") ? callers.slice(1) : callers;
  const late = AbortSignal.timeout(ANSWER_MS);
  const reply = await Promise.race([
    chance.pick(overHttp)(call),
    new Promise<never>((_, reject) =>
      late.addEventListener("abort", () => reject(new Error(`${call.path}: no answer`))),
    ),
  ]);
  const refused = refusedIn(reply);
  if (refused === undefined) return "taken";
  if (reply.status !== 200) expect(Math.floor(reply.status / 100), refused.message).toBe(4);
  expectReasonable(refused, `${call.path} ${JSON.stringify(call.body?.toString())}`);
  return "refused";
}

async function sendRaw(bus: BesiegedBus, bytes: Buffer): Promise<string> {
  const socket = await RawSocket.open(bus.port);
  socket.send(bytes);
  await socket.until((it) => it.ended, RAW_MS);
  socket.destroy();
  if (bytes.subarray(0, PREFACE.length).equals(PREFACE)) return "raw HTTP/2";
  const what = JSON.stringify(bytes.toString("latin1"));
  for (const { status, body } of answersIn(socket.received).answers) {
    if (status === 200) continue;
    // Beside 4xx: 501, 504 and 505, of an encoding, a deadline, a version that a changed byte made.
    expect(status >= 400 && status !== 500, `${status} ${body}: ${what}`).toBe(true);
    expectReasonable(connectError(body), what);
  }
  return "raw HTTP/1.1";
}

test(`stands three thousand requests with bytes changed, of seed ${SEED}`, async () => {
  const bus = await besiegedBus();
  const callers: readonly Caller[] = [overHttp1(bus.port), overHttp2(bus.port)];
  const outcomes = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    const batch = Array.from({ length: BATCH }, async (_, n) => {
      const chance = chanceOf(Math.imul(SEED, 0x9e3779b1) + round * BATCH + n);
      const kind = chance.integer(4);
      const outcome =
        kind === 0
          ? sendRaw(bus, rawRequest(chance))
          : kind === 1
            ? sendRaw(bus, rawFrames(chance))
            : callMutated(callers, chance);
      await outcome.then(
        (what) => outcomes.set(what, (outcomes.get(what) ?? 0) + 1),
        (cause: unknown) => {
          throw new Error(`seed ${SEED}, request ${round * BATCH + n}: ${cause}`, { cause });
        },
      );
    });
    await Promise.all(batch);
    await bus.unharmed(`seed ${SEED}, requests ${round * BATCH} to ${(round + 1) * BATCH - 1}`);
  }
  // Some of every kind came through: a fuzz whose requests all fail at the door would find nothing behind it.
  for (const kind of ["taken", "refused", "raw HTTP/1.1", "raw HTTP/2"]) {
    expect(outcomes.get(kind) ?? 0, kind).toBeGreaterThan(50);
  }
}, 60_000);
