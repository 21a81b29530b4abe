/**
 * The one place where a refusal of the domain becomes an error of the wire: its Connect code and its google.rpc details.
 * It knows no request and no protocol's framing.
 */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { file_agentbus_v1_message_bus } from "#gen/agentbus/v1/message_bus_pb.js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  QuotaFailureSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "#gen/google/rpc/error_details_pb.js";
import { BusError, type Reason, type Refusal } from "../errors.ts";

const DOMAIN = "agentbus";

export const codes: Readonly<Record<Reason, Code>> = {
  INVALID_FIELD: Code.InvalidArgument,
  BODY_TOO_LARGE: Code.InvalidArgument,
  MALFORMED_JSON: Code.InvalidArgument,
  TOKEN_MISSING: Code.Unauthenticated,
  TOKEN_INVALID: Code.Unauthenticated,
  NOT_YOUR_INBOX: Code.PermissionDenied,
  NOT_YOUR_NAME: Code.PermissionDenied,
  ADMIN_ONLY: Code.PermissionDenied,
  FOREIGN_ORIGIN: Code.PermissionDenied,
  UNKNOWN_AGENT: Code.NotFound,
  UNKNOWN_MESSAGE: Code.NotFound,
  REQUEST_ID_REUSED: Code.AlreadyExists,
  RATE_LIMITED: Code.ResourceExhausted,
  INBOX_FULL: Code.ResourceExhausted,
  STORAGE_FULL: Code.ResourceExhausted,
  REQUEST_TOO_LARGE: Code.ResourceExhausted,
  TOO_MANY_HOPS: Code.FailedPrecondition,
  INBOX_NOT_EMPTY: Code.FailedPrecondition,
  STALE_LEASE: Code.FailedPrecondition,
  BUSY: Code.Unavailable,
  DRAINING: Code.Unavailable,
  STORE_UNREACHABLE: Code.Unavailable,
  DEADLINE_EXCEEDED: Code.DeadlineExceeded,
  CANCELED: Code.Canceled,
  UNIMPLEMENTED: Code.Unimplemented,
};

/** Of any failure; what is unknown is internal. */
export function codeOf(error: unknown): Code {
  if (error instanceof BusError) return codes[error.refusal.reason];
  return error instanceof ConnectError ? error.code : Code.Internal;
}

/** Every detail is built here and nowhere else: one that cannot be serialized leaves a gRPC call hanging for ever. */
function detailsOf(refusal: Refusal) {
  const { reason, metadata = {}, violations, retryAfterMs, resource, quota, advice } = refusal;
  const details: ConnectError["details"] = [
    { desc: ErrorInfoSchema, value: create(ErrorInfoSchema, { reason, domain: DOMAIN, metadata }) },
  ];
  if (violations !== undefined) {
    const fieldViolations = violations.map(({ field, description }) => ({ field, description }));
    details.push({ desc: BadRequestSchema, value: create(BadRequestSchema, { fieldViolations }) });
  }
  if (retryAfterMs !== undefined) {
    const ms = Math.ceil(retryAfterMs);
    const retryDelay = { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 };
    details.push({ desc: RetryInfoSchema, value: create(RetryInfoSchema, { retryDelay }) });
  }
  if (quota !== undefined) {
    details.push({ desc: QuotaFailureSchema, value: create(QuotaFailureSchema, { violations: [quota] }) });
  }
  if (resource !== undefined) {
    const { type: resourceType, name: resourceName } = resource;
    const value = create(ResourceInfoSchema, { resourceType, resourceName, description: advice });
    details.push({ desc: ResourceInfoSchema, value });
  }
  return details;
}

/** As connect-es sends it in any protocol. */
export function toConnectError(error: BusError): ConnectError {
  const { refusal } = error;
  const headers: Record<string, string> =
    refusal.retryAfterMs === undefined ? {} : { "retry-after": String(Math.ceil(refusal.retryAfterMs / 1000)) };
  // A lone surrogate, such as in the name of an unknown field, could not be written in gRPC's trailers.
  const wire = new ConnectError(error.message.toWellFormed(), codes[refusal.reason], headers, undefined, error);
  wire.details = detailsOf(refusal);
  return wire;
}

/**
 * An error that the framework raised before any code of ours ran (bad JSON, oversize, bad framing), in the form of all
 * others. Such an error is about the request: what connect-es calls internal there is a message that can't be decoded.
 */
export function fromFramework(error: ConnectError): BusError {
  const text = shortened(error.rawMessage).replace(/configured readMaxBytes/, "the most that a request may have:");
  switch (error.code) {
    case Code.ResourceExhausted:
      return new BusError({ reason: "REQUEST_TOO_LARGE", advice: `${text}; send less in one request` });
    case Code.Unimplemented:
      return new BusError({ reason: "UNIMPLEMENTED", advice: text });
    case Code.DeadlineExceeded:
      return new BusError({ reason: "DEADLINE_EXCEEDED", advice: `${text}; whether it was done is unknown` });
    case Code.Canceled:
    case Code.Aborted:
      return new BusError({ reason: "CANCELED", advice: text });
    default: {
      const field = fieldIn(error.rawMessage);
      return new BusError({
        reason: field === undefined && !WRONG_VALUE.test(text) ? "MALFORMED_JSON" : "INVALID_FIELD",
        advice: `${text}; ${remedyFor(error.rawMessage, field)}`,
        violations: [{ field: field ?? "", description: text }],
      });
    }
  }
}

/** What a shell's quotes do to JSON is the usual reason. */
export const JSON_ADVICE = "send one JSON object, in UTF-8; from a shell, JSON with a ' in it goes in a file: -d @FILE";

/** What to write instead, for a caller that may have nothing but curl. */
function remedyFor(text: string, field: string | undefined): string {
  const [, message] = /message agentbus\.v1\.(\w+) from JSON: key "/.exec(text) ?? [];
  const fields = requestFields(message);
  if (fields.length > 0) return `known are ${fields.map(({ jsonName }) => jsonName).join(", ")}`;
  if (field !== undefined || WRONG_VALUE.test(text)) return "GET /openapi.json and the .proto describe this request";
  return JSON_ADVICE;
}

/** JSON that is right, with a value that is not: protobuf-es does not say in which field. */
const WRONG_VALUE = /cannot decode (enum|message google\.)/;

/** Such a message may hold all of a field's name: longer than headers, and so trailers, may be. */
const MAX_TEXT = 300;

function shortened(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

/** The field, as in JSON, that protobuf-es names in a message such as `… from JSON: key "maxMesages" is unknown`. */
function fieldIn(text: string): string | undefined {
  const [, protocol] = /^protocol error: invalid (grpc|connect) timeout value/.exec(text) ?? [];
  if (protocol !== undefined) return protocol === "grpc" ? "grpc-timeout" : "connect-timeout-ms";
  const [, message, field] = /field agentbus\.v1\.(\w+)\.(\w+)/.exec(text) ?? [];
  if (field === undefined) return /key "([^"]+)" is unknown/.exec(text)?.[1]?.slice(0, 70);
  return requestFields(message).find(({ name }) => name === field)?.jsonName;
}

function requestFields(message: string | undefined) {
  return file_agentbus_v1_message_bus.messages.find(({ name }) => name === message)?.fields ?? [];
}
