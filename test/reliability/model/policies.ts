/** Policies small enough that short sequences meet their limits. */
import type { StorePolicy } from "#dist/store.js";

const LOOSE: StorePolicy = {
  rateLimit: undefined,
  unknownRecipients: "hold",
  maxHops: 50,
  maxAttempts: 10,
  maxInbox: 100_000,
  retentionMs: 30 * 24 * 3_600_000,
};
const rateLimit = { count: 3, windowMs: 60_000 };
const retentionMs = 3_600_000;

export const POLICIES: readonly StorePolicy[] = [
  LOOSE,
  { ...LOOSE, maxAttempts: 2 },
  { ...LOOSE, maxAttempts: 2, maxInbox: 4, retentionMs },
  { ...LOOSE, maxAttempts: 1, maxHops: 3, unknownRecipients: "reject" },
  { ...LOOSE, rateLimit, retentionMs },
  { rateLimit, unknownRecipients: "reject", maxHops: 3, maxAttempts: 2, maxInbox: 4, retentionMs },
];
