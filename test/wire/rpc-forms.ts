/**
 * One call of MessageBus in the form of every protocol on the port, and the outcome read from an answer in any of them.
 * It frames and unframes by the protocols' own documents, not with the library that the bus is built on.
 */
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import type { Call, Reply } from "./http-calls.ts";

export const CONTENT_TYPES = {
  "connect json": "application/json",
  "connect proto": "application/proto",
  grpc: "application/grpc",
  "grpc json": "application/grpc+json",
  "grpc-web": "application/grpc-web+proto",
} as const;

export type Protocol = keyof typeof CONTENT_TYPES;

export const COMPRESSED = 1;

/** gRPC's five bytes before a message; `length` lies about it where it is given. */
export function envelope(message: Uint8Array, { flags = 0, length = message.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

export function isFramed(protocol: Protocol): boolean {
  return protocol.startsWith("grpc");
}

/** `body` is sent as it is: whoever wants an envelope puts it on. */
export function callIn(
  protocol: Protocol,
  method: string,
  body: Uint8Array | string,
  headers: Record<string, string> = {},
): Call {
  const type = { "content-type": CONTENT_TYPES[protocol] };
  return {
    path: `/agentbus.v1.MessageBus/${method}`,
    body,
    headers: { ...type, ...(protocol.startsWith("grpc") && { te: "trailers" }), ...headers },
  };
}

/** A well-framed call. */
export function framedCall(
  protocol: Protocol,
  method: string,
  message: Uint8Array,
  headers: Record<string, string> = {},
): Call {
  return callIn(protocol, method, isFramed(protocol) ? envelope(message) : message, headers);
}

export interface Refused {
  /** As Connect writes it, such as "invalid_argument". */
  readonly code: string;
  readonly message: string;
  readonly details: readonly { type: string; value: string }[];
}

const CODES = [
  "ok",
  "canceled",
  "unknown",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "already_exists",
  "permission_denied",
  "resource_exhausted",
  "failed_precondition",
  "aborted",
  "out_of_range",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
  "unauthenticated",
];

/** undefined: the call succeeded. Throws for an answer that is in the form of no protocol. */
export function refusedIn(reply: Reply): Refused | undefined {
  const type = reply.headers["content-type"] ?? "";
  if (reply.status === 200 && type.startsWith("application/grpc-web")) {
    return refusedByStatus(webTrailers(reply));
  }
  if (reply.status === 200 && type.startsWith("application/grpc")) {
    return refusedByStatus({ ...reply.headers, ...reply.trailers });
  }
  if (reply.status >= 200 && reply.status < 300) return undefined;
  if (!type.startsWith("application/json")) throw new Error(`${reply.status} with content-type "${type}"`);
  return connectError(decompressed(reply.body, reply.headers["content-encoding"]).toString("utf8"));
}

/** A large error comes compressed to whoever accepts that, as any answer does. */
function decompressed(body: Buffer, coding: string | undefined): Buffer {
  switch (coding) {
    case "br":
      return brotliDecompressSync(body);
    case "gzip":
      return gunzipSync(body);
    default:
      return body;
  }
}

export function connectError(body: string): Refused {
  const error = JSON.parse(body) as Record<string, unknown>;
  const { code, message, details = [], ...others } = error;
  if (typeof code !== "string" || !CODES.includes(code)) throw new Error(`"${code}" is not a code: ${body}`);
  if (typeof message !== "string" || !Array.isArray(details) || Object.keys(others).length > 0) {
    throw new Error(`not the body of a Connect error: ${body}`);
  }
  return { code, message, details };
}

function refusedByStatus(trailers: Readonly<Record<string, string>>): Refused | undefined {
  const status = trailers["grpc-status"];
  if (status === undefined) throw new Error("an answer in gRPC without grpc-status");
  if (status === "0") return undefined;
  const message = decodeURIComponent(trailers["grpc-message"] ?? "");
  return { code: CODES[Number(status)] ?? `grpc-status ${status}`, message, details: [] };
}

/** The last frame of an answer in gRPC-Web holds the trailers as HTTP/1.1 header lines; flag 128 marks it. */
function webTrailers({ headers, body }: Reply): Record<string, string> {
  let rest = body;
  while (rest.length >= 5) {
    const end = 5 + rest.readUInt32BE(1);
    const flags = rest[0] as number;
    if ((flags & 128) !== 0) {
      const trailers = rest.subarray(5, end);
      const whole = (flags & COMPRESSED) === 0 ? trailers : decompressed(trailers, headers["grpc-encoding"]);
      const lines = whole.toString("latin1").split("\r\n");
      return Object.fromEntries(
        lines.filter(Boolean).map((line) => {
          const colon = line.indexOf(":");
          return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
        }),
      );
    }
    rest = rest.subarray(end);
  }
  throw new Error("an answer in gRPC-Web without trailers");
}
