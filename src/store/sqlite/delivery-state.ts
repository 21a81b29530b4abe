/**
 * The state of a delivery as a function of (row, now), in SQL and in TypeScript, side by side so that they stay one rule.
 * It asks no clock.
 */
import type { DeadReason, DeliveryState } from "../../message.ts";

/** deliveries.state: what is written. WAITING is UNREAD, LEASED or, before it was written, DEAD. */
export const WAITING = 1;
export const READ = 3;
export const DEAD = 4;

/** The columns that a state is made of. */
export interface StateRow {
  readonly state: number;
  readonly lease_until: number;
  readonly expire_at: number | null;
  readonly attempts: number;
  readonly attempts_before: number;
  readonly dead_at: number | null;
  readonly dead_reason: string | null;
}

export const STATE_COLUMNS =
  "d.state, d.lease_until, d.expire_at, d.attempts, d.attempts_before, d.dead_at, d.dead_reason";

/** A delivery that can be handed out, of rows whose state is WAITING. Parameters :now and :maxAttempts. */
export const IS_UNREAD =
  "d.lease_until <= :now and (d.expire_at is null or d.expire_at > :now) and d.attempts - d.attempts_before < :maxAttempts";

/** A delivery that counts as unread to others: UNREAD or LEASED. */
export const IS_ALIVE = `(d.lease_until > :now or (${IS_UNREAD}))`;

export interface State {
  readonly state: DeliveryState;
  readonly deadAt: number | undefined;
  readonly deadReason: DeadReason | undefined;
}

export function stateOf(row: StateRow, now: number, maxAttempts: number): State {
  const alive = (state: DeliveryState): State => ({ state, deadAt: undefined, deadReason: undefined });
  if (row.state === READ) return alive("READ");
  if (row.state === DEAD) {
    return { state: "DEAD", deadAt: row.dead_at ?? undefined, deadReason: row.dead_reason as DeadReason };
  }
  if (row.lease_until > now) return alive("LEASED");
  // It died when its last lease ended, or when its time was up, whichever was later for a lease that ran past it.
  if (row.attempts - row.attempts_before >= maxAttempts) {
    return { state: "DEAD", deadAt: row.lease_until, deadReason: "ATTEMPTS_EXHAUSTED" };
  }
  if (row.expire_at !== null && row.expire_at <= now) {
    return { state: "DEAD", deadAt: Math.max(row.expire_at, row.lease_until), deadReason: "EXPIRED" };
  }
  return alive("UNREAD");
}
