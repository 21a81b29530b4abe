/**
 * Tokens that continue a list where the last page ended. Opaque to callers, bound to the request they came from; they
 * hold a key of the store's order, never an offset. Nothing in them is secret.
 */
import { createHash } from "node:crypto";
import { BusError } from "./errors.ts";

/** A short mark of what was asked, without the page. */
function markOf(request: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(request)).digest("base64url").slice(0, 16);
}

/** The token of the page after `key`. */
export function pageTokenAfter(key: string, request: readonly unknown[]): string {
  return Buffer.from(JSON.stringify([markOf(request), key])).toString("base64url");
}

/** The key to go on after; undefined: the first page. Throws INVALID_FIELD for a token that is not of this request. */
export function keyOfPageToken(token: string, request: readonly unknown[]): string | undefined {
  if (token === "") return undefined;
  try {
    const parts: unknown = JSON.parse(Buffer.from(token, "base64url").toString());
    if (Array.isArray(parts) && parts[0] === markOf(request) && typeof parts[1] === "string") return parts[1];
  } catch {
    // Not JSON: refused below like any other token that is not ours.
  }
  const description = "is not from the last page of this same request; start again without it";
  throw new BusError({
    reason: "INVALID_FIELD",
    advice: `pageToken ${description}`,
    violations: [{ field: "pageToken", description }],
  });
}
