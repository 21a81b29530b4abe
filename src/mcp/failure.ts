/**
 * What went wrong, as the result of a tool, in the bus's own words: a model reads results, not errors of a protocol. It
 * must not know tools.
 */
import type { CallToolResult } from "@modelcontextprotocol/server";
import { BusRefusal } from "../client/bus-refusal.ts";
import { UnreachableError } from "../client/unreachable-error.ts";
import { resultOf } from "./tool.ts";

/** Refused before the bus was asked. */
export class ToolFailure extends Error {
  readonly reason: string;

  constructor(reason: string, advice: string) {
    super(`${reason}: ${advice}`);
    this.reason = reason;
  }
}

interface Failure {
  readonly reason: string;
  readonly message: string;
  readonly retryAfterMs?: number | undefined;
}

export function failureResult(error: unknown, report: (error: unknown) => void): CallToolResult {
  const known = knownFailure(error);
  if (known === undefined) report(error);
  const { reason, message, retryAfterMs } = known ?? {
    reason: "INTERNAL",
    message: "INTERNAL: this tool failed by a defect of its own; what it was is in the log of who runs it",
  };
  return { ...resultOf({ text: message, data: { reason, message, retry_after_ms: retryAfterMs } }), isError: true };
}

export function knownFailure(error: unknown): Failure | undefined {
  if (error instanceof ToolFailure) return { reason: error.reason, message: error.message };
  if (error instanceof UnreachableError) {
    const message = `UNREACHABLE: ${error.message}; try again later, or tell your user that the bus is away`;
    return { reason: "UNREACHABLE", message };
  }
  if (!(error instanceof BusRefusal)) return undefined;
  const { reason, message, retryAfterMs } = error;
  // A defect of the bus has no reason but that.
  return { reason: reason || "INTERNAL", message, retryAfterMs };
}
