/**
 * What ends a command other than done: an exit code and one message for a person and for a program. It must not know
 * where failures come from.
 */
import { EXIT, type ExitCode } from "./exit-codes.ts";

/** What a program is told under --json: the fields of SendBatchError, the contract's own form of an error as data. */
export interface FailureDocument {
  /** Connect code, such as "resource_exhausted". */
  readonly code: string;
  /** Such as "RATE_LIMITED"; of the command line's own: "USAGE", "UNREACHABLE", "LOCAL", "NO_ANSWER". */
  readonly reason: string;
  readonly message: string;
  /** Field of the request that is wrong. Empty: none. */
  readonly field: string;
  /** Absent: do not repeat unchanged. */
  readonly retryAfterMs?: number;
  /** Of what was sent all the same. Absent: nothing was. */
  readonly messageId?: string;
}

export class Failure extends Error {
  readonly exitCode: ExitCode;
  readonly document: FailureDocument;
  /** A write may have been carried out although nothing was answered. */
  readonly outcomeUnknown: boolean;

  constructor(exitCode: ExitCode, document: FailureDocument, outcomeUnknown = false) {
    super(document.message);
    this.name = "Failure";
    this.exitCode = exitCode;
    this.document = document;
    this.outcomeUnknown = outcomeUnknown;
  }

  /** The same, with one more sentence. */
  and(sentence: string): Failure {
    const message = `${this.message}${/[.!?]$/.test(this.message) ? "" : "."} ${sentence}`;
    return new Failure(this.exitCode, { ...this.document, message }, this.outcomeUnknown);
  }
}

export function usageFailure(message: string): Failure {
  return new Failure(EXIT.usage, { code: "invalid_argument", reason: "USAGE", message, field: "" });
}

/** What a command found out for itself, and what to do instead. */
export function refusal(message: string): Failure {
  return new Failure(EXIT.refused, { code: "failed_precondition", reason: "LOCAL", message, field: "" });
}

/** Something on this host went wrong: a file, the output, the start of a bus. */
export function localFailure(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  return new Failure(EXIT.refused, { code: "internal", reason: "LOCAL", message, field: "" });
}
