/**
 * The one reader of how a bus says no: from Connect's error, or from an item of a batch, to one class with the reason as
 * data. It must not know who called, nor how an error is shown to a person.
 */
import { Code, type ConnectError } from "@connectrpc/connect";
import type { SendBatchError } from "#gen/agentbus/v1/message_bus_pb.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import type { Reason } from "../errors.ts";

/** One wrong field, named as in JSON: "to", "maxMessages". */
export interface RefusedField {
  readonly field: string;
  readonly description: string;
}

interface RefusalFields {
  readonly code: string;
  readonly reason: BusRefusal["reason"];
  readonly retryAfterMs?: number | undefined;
  readonly violations?: readonly RefusedField[];
}

/** A bus answered, and the answer was no. The message starts with the reason and says what to do next. */
export class BusRefusal extends Error {
  /** Connect code as on the wire, such as "resource_exhausted". */
  readonly code: string;
  /** Of the closed set in docs/protocol.md; a newer bus may know more. Empty: a defect of the bus (code "internal"). */
  readonly reason: Reason | "" | (string & {});
  /** Milliseconds before which a repeat is useless. Absent: do not repeat unchanged. */
  readonly retryAfterMs: number | undefined;
  /** What is wrong with the request, field by field; empty: nothing in particular. */
  readonly violations: readonly RefusedField[];

  constructor(message: string, { code, reason, retryAfterMs, violations = [] }: RefusalFields, options?: ErrorOptions) {
    super(message, options);
    this.name = "BusRefusal";
    this.code = code;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
    this.violations = violations;
  }
}

export function refusalFromConnect(error: ConnectError): BusRefusal {
  const retryDelay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const fields = {
    code: codeName(error.code),
    reason: error.findDetails(ErrorInfoSchema)[0]?.reason ?? "",
    retryAfterMs: retryDelay && Math.ceil(Number(retryDelay.seconds) * 1000 + retryDelay.nanos / 1e6),
    violations: (error.findDetails(BadRequestSchema)[0]?.fieldViolations ?? []).map(({ field, description }) => ({
      field,
      description,
    })),
  };
  return new BusRefusal(error.rawMessage, fields, { cause: error });
}

export function refusalFromBatch({ code, reason, message, field, retryAfterMs }: SendBatchError): BusRefusal {
  const violations = field === "" ? [] : [{ field, description: message }];
  return new BusRefusal(message, { code, reason, retryAfterMs, violations });
}

/** What this client refuses before it sends anything, in the words of a bus. */
export function invalidField(field: string, description: string): BusRefusal {
  return new BusRefusal(`INVALID_FIELD: ${field} ${description}`, {
    code: "invalid_argument",
    reason: "INVALID_FIELD",
    violations: [{ field, description }],
  });
}

/** As Connect writes a code: "resource_exhausted". */
function codeName(code: Code): string {
  return (Code[code] ?? "unknown").replace(/(?<=[a-z])[A-Z]/g, "_$&").toLowerCase();
}
