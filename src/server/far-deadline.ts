/** Deadlines that lie farther away than a timer can run. It knows the headers that state them. */

/** Node's timers run for 24 days at most, and at once beyond that: a deadline that is farther away is none. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const GRPC_UNITS_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000 };

export function dropFarDeadline(headers: Headers): void {
  const [, amount, unit = ""] = /^(\d{1,8})([HMS])$/.exec(headers.get("grpc-timeout") ?? "") ?? [];
  if (Number(amount) * (GRPC_UNITS_MS[unit] ?? 0) > MAX_TIMER_MS) headers.delete("grpc-timeout");
  const ms = headers.get("connect-timeout-ms") ?? "";
  if (/^\d{10}$/.test(ms) && Number(ms) > MAX_TIMER_MS) headers.delete("connect-timeout-ms");
}
