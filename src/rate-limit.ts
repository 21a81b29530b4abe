/**
 * How many messages one sender may store in a sliding window. Knows neither where the count is kept nor how a refusal
 * travels.
 */

/** `count` messages in any `windowMs` milliseconds. */
export interface RateLimit {
  readonly count: number;
  readonly windowMs: number;
}

const WINDOWS_MS: Readonly<Record<string, number>> = { s: 1_000, min: 60_000, hour: 3_600_000 };
const MAX_COUNT = 1_000_000;

/** Reads "10/min", "5/s", "100/hour" or "off" (undefined: no limit). Throws an Error that says what is allowed. */
export function parseRateLimit(text: string): RateLimit | undefined {
  if (text === "off") return undefined;
  const [, digits = "", unit = ""] = /^(\d{1,7})\/(s|min|hour)$/.exec(text) ?? [];
  const count = Number(digits);
  const windowMs = WINDOWS_MS[unit];
  if (windowMs === undefined || count < 1 || count > MAX_COUNT) {
    throw new Error(`must be N/s, N/min or N/hour with N from 1 to ${MAX_COUNT}, or off, not "${text}"`);
  }
  return { count, windowMs };
}

/** As people write it: "10 in 60 s". */
export function describeRateLimit(limit: RateLimit): string {
  return `${limit.count} in ${limit.windowMs / 1000} s`;
}

/**
 * Milliseconds until a sender may store one more message; 0: now. `nth` is the time of its message number `count`
 * counted back from the newest, undefined when there are fewer. A message is in the window until it is `windowMs` old.
 */
export function waitForQuota(limit: RateLimit, nth: number | undefined, now: number): number {
  return nth === undefined ? 0 : Math.max(0, nth + limit.windowMs - now);
}
