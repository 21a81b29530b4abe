/**
 * Who may do what. Judged before anything else, existence included. It knows requests only by whom they speak for.
 */
import { BusError } from "./errors.ts";
import { foldName } from "./message.ts";
import type { Principal } from "./token.ts";

/** Throws NOT_YOUR_NAME: an agent token sends and registers only in its own name. */
export function requireName(principal: Principal, name: string): void {
  if (principal.kind !== "agent" || foldName(name) === principal.agent) return;
  throw new BusError({
    reason: "NOT_YOUR_NAME",
    advice: `this token speaks for ${principal.agent} alone, not for ${JSON.stringify(name.slice(0, 64))}; act as ${principal.agent}, or use the other's token`,
  });
}

/** Throws NOT_YOUR_INBOX: an agent token reads and acks only its own mail. */
export function requireInbox(principal: Principal, name: string): void {
  if (principal.kind !== "agent" || foldName(name) === principal.agent) return;
  throw new BusError({
    reason: "NOT_YOUR_INBOX",
    advice: `this token opens the inbox of ${principal.agent} alone, not of ${JSON.stringify(name.slice(0, 64))}`,
  });
}

/** Throws ADMIN_ONLY. */
export function requireAdmin(principal: Principal, what: string): void {
  if (principal.kind !== "agent") return;
  throw new BusError({
    reason: "ADMIN_ONLY",
    advice: `${what} is not for agent tokens; use an admin token or the shared bus token`,
  });
}
