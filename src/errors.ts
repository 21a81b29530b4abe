/**
 * The closed set of ways in which the bus says no. It knows no transport codes: src/server/error-codes.ts gives each
 * reason its code, and docs/protocol.md has the table for people.
 */

export type Reason =
  | "INVALID_FIELD"
  | "BODY_TOO_LARGE"
  | "MALFORMED_JSON"
  | "TOKEN_MISSING"
  | "TOKEN_INVALID"
  | "NOT_YOUR_INBOX"
  | "NOT_YOUR_NAME"
  | "ADMIN_ONLY"
  | "FOREIGN_ORIGIN"
  | "UNKNOWN_AGENT"
  | "UNKNOWN_MESSAGE"
  | "REQUEST_ID_REUSED"
  | "RATE_LIMITED"
  | "INBOX_FULL"
  | "STORAGE_FULL"
  | "REQUEST_TOO_LARGE"
  | "TOO_MANY_HOPS"
  | "INBOX_NOT_EMPTY"
  | "STALE_LEASE"
  | "DRAINING"
  | "BUSY"
  | "STORE_UNREACHABLE"
  | "DEADLINE_EXCEEDED"
  | "CANCELED"
  | "UNIMPLEMENTED";

/** One wrong field, named as in JSON, such as "maxMessages" or "requests[3].to". */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
  /** Where the fault has a reason of its own. */
  readonly reason?: "BODY_TOO_LARGE";
}

/** Why something was refused. Plain data, so that it crosses threads as it is. */
export interface Refusal {
  readonly reason: Reason;
  /** What is wrong, with the limit and the actual value, and what to do next; without the reason in front. */
  readonly advice: string;
  readonly violations?: readonly FieldViolation[];
  /** Milliseconds before which a repeat is useless. Absent: do not repeat unchanged. */
  readonly retryAfterMs?: number;
  /** What was not found. */
  readonly resource?: { readonly type: "agent" | "message"; readonly name: string };
  /** Whose quota is used up, and which. */
  readonly quota?: { readonly subject: string; readonly description: string };
  /** Limits and actual values for programs. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export class BusError extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal, options?: ErrorOptions) {
    // The reason stands first: some clients show nothing but the message.
    super(`${refusal.reason}: ${refusal.advice}`, options);
    this.name = "BusError";
    this.refusal = refusal;
  }
}

export function invalidFields(violations: readonly FieldViolation[]): BusError {
  const own = violations.map((violation) => violation.reason ?? "INVALID_FIELD");
  return new BusError({
    reason: own.every((reason) => reason === own[0]) ? (own[0] ?? "INVALID_FIELD") : "INVALID_FIELD",
    advice: violations.map(({ field, description }) => `${field} ${description}`).join("; "),
    violations,
  });
}

export function unknownMessage(id: string): BusError {
  return new BusError({
    reason: "UNKNOWN_MESSAGE",
    advice: `no message "${id}" that you may see; check the id, and on whose behalf you ask`,
    resource: { type: "message", name: id },
  });
}

export function unknownAgent(name: string, nearest: readonly string[] = []): BusError {
  return new BusError({
    reason: "UNKNOWN_AGENT",
    advice: `no agent "${name}" is registered${nearest.length > 0 ? `; did you mean ${nearest.join(", ")}?` : ""}; ListAgents names them all`,
    resource: { type: "agent", name },
  });
}

export function requestIdReused(requestId: string, what: string): BusError {
  return new BusError({
    reason: "REQUEST_ID_REUSED",
    advice: `request_id "${requestId}" was used before for ${what}; take a new one for each thing you mean to do, and repeat it only unchanged`,
  });
}
