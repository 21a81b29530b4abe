/**
 * Tells a failure that passes by itself from one that needs somebody: whoever works for months goes on after the first
 * and ends with the second. It knows no call.
 */
import { BusRefusal } from "./bus-refusal.ts";
import { UnreachableError } from "./unreachable-error.ts";

/** Of the request or of who asks: the next one would fail alike. */
const LASTING: readonly string[] = [
  "invalid_argument",
  "unauthenticated",
  "permission_denied",
  "not_found",
  "already_exists",
  "failed_precondition",
  "out_of_range",
  "unimplemented",
];

export function passes(failure: unknown): failure is Error {
  if (failure instanceof UnreachableError) return true;
  return failure instanceof BusRefusal && !LASTING.includes(failure.code);
}

/** No bus took the request, or none that could do anything with it. */
export function isOutage(failure: unknown): failure is UnreachableError | BusRefusal {
  return failure instanceof UnreachableError || (failure instanceof BusRefusal && failure.code === "unavailable");
}
