/** Reads and writes lengths and points of time as people do. It must not know what they are for. */
import { InvalidArgumentError, Option } from "commander";

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const RFC_3339 = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/i;

/** Milliseconds of "90s", "10m", "2h" or "3d"; undefined: not one of these. */
function millisecondsOf(text: string): number | undefined {
  const [, digits = "", unit = ""] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const ms = Number(digits) * (UNITS_MS[unit] ?? 0);
  return ms > 0 ? ms : undefined;
}

/** For an option that takes a length of time, with bounds as a person would write them. */
export function durationBetween(min: string, max: string): (text: string) => number {
  const [least = 0, most = 0] = [millisecondsOf(min), millisecondsOf(max)];
  return (text) => {
    const ms = millisecondsOf(text);
    if (ms === undefined || ms < least || ms > most) {
      throw new InvalidArgumentError(`It must be a length of time from ${min} to ${max}, such as 90s, 10m, 2h or 3d.`);
    }
    return ms;
  };
}

/** An option that is never absent: help shows its default as a person writes it, the command gets milliseconds. */
export function durationOption(flags: string, help: string, [min, max]: [string, string], fallback: string): Option {
  const parse = durationBetween(min, max);
  return new Option(flags, help).argParser(parse).default(parse(fallback), fallback);
}

/** For an option that takes a point of time: RFC 3339, a day (in UTC), or a length of time before now. */
export function pointInTime(text: string): Date {
  const ago = millisecondsOf(text);
  const time = ago === undefined ? Date.parse(RFC_3339.test(text) ? text : "") : Date.now() - ago;
  if (Number.isNaN(time)) {
    throw new InvalidArgumentError("It must be a time such as 2d (ago), 2026-11-25 or 2026-11-25T08:30:00Z.");
  }
  return new Date(time);
}

/** In its largest unit, rounded down: "12 s", "5 min", "3 h", "2 d". A clock that is behind gives "0 s". */
export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}
