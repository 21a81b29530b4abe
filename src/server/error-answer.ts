/**
 * Every failure as an answer: refusals in their wire form, defects as "internal" with an id, and what never became a
 * call in Connect's own JSON. It knows no door.
 */
import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, errorToJson } from "@connectrpc/connect/protocol-connect";
import { BusError } from "../errors.ts";
import { type Answer, jsonAnswer } from "./answer.ts";
import { toConnectError } from "./error-codes.ts";
import type { Logger } from "./log.ts";

/** What is unknown is "internal" outside and whole in the log; an id ties the two together. */
export function toWireError(error: unknown, what: string, log: Logger): ConnectError {
  if (error instanceof BusError) {
    if (error.cause !== undefined) log.error({ err: error, what }, "refused for a fault of the bus");
    return toConnectError(error);
  }
  if (error instanceof ConnectError) return error;
  const id = randomUUID();
  log.error({ err: error, what, id }, "internal error");
  return new ConnectError(`internal error ${id}; it is in the bus's log under this id`, Code.Internal);
}

/** A refusal whose HTTP status is not the one of its code. */
export class HttpError extends BusError {
  readonly status: number;
  readonly headers: Record<string, string>;

  constructor(status: number, refusal: BusError["refusal"], headers: Record<string, string> = {}) {
    super(refusal);
    this.status = status;
    this.headers = headers;
  }
}

/** The Connect form of a refusal, for every door that has no protocol of its own. */
export function errorAnswer(error: BusError, status?: number): Answer {
  const wire = toConnectError(error);
  const headers = Object.fromEntries(wire.metadata);
  return jsonAnswer(status ?? codeToHttpStatus(wire.code), errorToJson(wire, undefined), headers);
}

/** What is no HTTP at all, answered as far as it can be: a whole response. */
export function malformedAnswer(error: NodeJS.ErrnoException): string {
  const tooLarge = error.code === "HPE_HEADER_OVERFLOW";
  const status = tooLarge
    ? "431 Request Header Fields Too Large"
    : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
      ? "408 Request Timeout"
      : "400 Bad Request";
  const advice = tooLarge ? "the headers are too large" : "this is not an HTTP request that the bus can read";
  const { body } = errorAnswer(new BusError({ reason: "INVALID_FIELD", advice }));
  return `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${String(body)}`;
}

/** Any failure, as an answer; `what` was being done names it in the log. */
export function errorAnswerOf(error: unknown, what: string, log: Logger): Answer {
  if (error instanceof HttpError) {
    const answer = errorAnswer(error, error.status);
    return { ...answer, headers: { ...answer.headers, ...error.headers } };
  }
  const wire = toWireError(error, what, log);
  return jsonAnswer(codeToHttpStatus(wire.code), errorToJson(wire, undefined), Object.fromEntries(wire.metadata));
}
