/**
 * The plain-HTTP pair that agents had before: POST /api/send and GET /api/inbox/:id. The same requests and answers as
 * the RPCs, in their JSON; what differs is when a read is READ. It knows no rule of the bus.
 */

import { isUtf8 } from "node:buffer";
import { type DescMessage, fromJson, type JsonValue, type MessageShape, toJson } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  PullInboxRequestSchema,
  PullInboxResponseSchema,
  SendRequestSchema,
  SendResponseSchema,
} from "#gen/agentbus/v1/message_bus_pb.js";
import { BusError } from "../errors.ts";
import { MAX_REQUEST_BYTES } from "../message.ts";
import type { Principal } from "../token.ts";
import { handedOver, jsonAnswer, writeAnswer } from "./answer.ts";
import { fromFramework, JSON_ADVICE } from "./error-codes.ts";
import { tooManyPieces } from "./many-pieces.ts";
import { COMPAT_INBOX, COMPAT_SEND } from "./metrics.ts";
import { type HttpRequest, type HttpResponse, headerOf } from "./one-port.ts";
import { readBody } from "./read-body.ts";
import { giveBackLost, type MethodParts } from "./rpc.ts";
import { traced } from "./trace.ts";
import { wirePulled, wireSent } from "./wire.ts";

/** How long a read may take to be written; if the process ends meanwhile, the mail comes back after this. */
const HOLD_MS = 60_000;

export async function compatSend(
  { bus, load, metrics }: MethodParts,
  who: Principal,
  request: HttpRequest,
  response: HttpResponse,
): Promise<void> {
  const { timestamp: _, ...fields } = parseObject(await readBody(request, MAX_REQUEST_BYTES));
  const message = traced(decode(SendRequestSchema, fields), headerOf(request, "traceparent"));
  const sent = await metrics.timed(COMPAT_SEND, () => load.during(() => bus.send(who, message)));
  writeAnswer(response, jsonAnswer(200, encode(SendResponseSchema, wireSent(sent))));
}

/** An inbox as the URL names it, decoded. */
interface AskedInbox {
  readonly agent: string;
  readonly query: URLSearchParams;
  readonly stillAdmitted: () => Promise<void>;
}

export async function compatInbox(
  { bus, answers, load, metrics, log }: MethodParts,
  who: Principal,
  { agent, query, stillAdmitted }: AskedInbox,
  response: HttpResponse,
): Promise<void> {
  const gone = new AbortController();
  const handed = handedOver(response).then((whole) => {
    if (!whole) gone.abort();
    return whole;
  });
  const pull = decode(PullInboxRequestSchema, { agent, ...pullFields(query) });
  // Unread again, without an attempt, when the caller hung up before all of it was handed to the socket.
  const pulled = await answers.run({
    agent,
    requestId: pull.requestId,
    pull: () =>
      metrics.timed(COMPAT_INBOX, (waited) =>
        load.during(() => bus.pullInbox(who, pull, { gone: gone.signal, stillAdmitted, waited }, HOLD_MS)),
      ),
    answered: handed,
    giveBack: (leaseIds) => giveBackLost({ bus, log }, who, agent, leaseIds),
  });
  const { messages } = encode(PullInboxResponseSchema, wirePulled(pulled)) as { messages: JsonValue };
  writeAnswer(response, jsonAnswer(200, { messages }));
  const { lease } = pulled;
  if (lease === undefined || !(await handed)) return;
  try {
    await bus.ack(who, { agent, leaseId: lease.id, messageIds: pulled.messages.map(({ id }) => id) });
  } catch (err) {
    log.warn({ err, agent }, "a read that was written could not be settled; its mail comes back when the hold ends");
  }
}

const NUMBER = /^-?\d{1,10}$/;

/** Query parameters by their names in the proto, as JSON fields of a PullInboxRequest. */
function pullFields(query: URLSearchParams): Record<string, JsonValue> {
  const fields: Record<string, JsonValue> = {};
  for (const [name, value] of query) {
    if (name === "mark_read" && (value === "true" || value === "false")) fields[name] = value === "true";
    else if ((name === "wait_seconds" || name === "max_messages") && NUMBER.test(value)) fields[name] = Number(value);
    else if (name === "request_id") fields[name] = value;
    else throw invalidParameter(name, value);
  }
  return fields;
}

function invalidParameter(field: string, value: string): BusError {
  const isKnown = /^(mark_read|wait_seconds|max_messages)$/.test(field);
  const wrong = isKnown ? `can't be ${JSON.stringify(value.slice(0, 70))}` : "is unknown";
  const description = `${wrong}; known are mark_read=true|false, wait_seconds=N, max_messages=N, request_id=ID`;
  return new BusError({
    reason: "INVALID_FIELD",
    advice: `${/^\w{1,70}$/.test(field) ? field : JSON.stringify(field.slice(0, 70))} ${description}`,
    violations: [{ field, description }],
  });
}

function parseObject(bytes: Buffer): { [name: string]: JsonValue } {
  const malformed = (advice: string) =>
    new BusError({ reason: "MALFORMED_JSON", advice, violations: [{ field: "", description: advice }] });
  const refusal = tooManyPieces(bytes, "json");
  if (refusal !== undefined) throw fromFramework(new ConnectError(refusal, Code.ResourceExhausted));
  if (!isUtf8(bytes)) throw malformed("the body is not valid UTF-8");
  let value: JsonValue;
  try {
    // Takes a byte order mark away, as the RPCs do.
    value = JSON.parse(new TextDecoder().decode(bytes)) as JsonValue;
  } catch (error) {
    throw malformed(`the body is not JSON: ${error instanceof Error ? error.message : ""}; ${JSON_ADVICE}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw malformed('the body must be a JSON object such as {"from":"joe","to":"jack","subject":"…","body":"…"}');
  }
  return value;
}

function decode<Desc extends DescMessage>(schema: Desc, json: JsonValue): MessageShape<Desc> {
  try {
    return fromJson(schema, json, { ignoreUnknownFields: false });
  } catch (error) {
    throw fromFramework(ConnectError.from(error, Code.InvalidArgument));
  }
}

function encode<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): JsonValue {
  return toJson(schema, message, { alwaysEmitImplicit: true });
}
