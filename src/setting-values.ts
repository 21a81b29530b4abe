/**
 * The kinds of values that a setting may have: each reads what a person wrote, or throws an Error that says what is
 * allowed, to be put behind the setting's name. It must not know any setting.
 */

const HOUR_MS = 3_600_000;
const RETENTION_UNITS_MS: Readonly<Record<string, number>> = { h: HOUR_MS, d: 24 * HOUR_MS };
const MAX_RETENTION_MS = 3650 * 24 * HOUR_MS;

export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new Error(`must be a whole number from ${min} to ${max}, not "${text}"`);
    }
    return value;
  };
}

export function oneOf<const T extends string>(...allowed: T[]): (text: string) => T {
  return (text) => {
    const found = allowed.find((value) => value === text);
    if (found === undefined) throw new Error(`must be one of ${allowed.join(", ")}, not "${text}"`);
    return found;
  };
}

export function truth(value: string): boolean {
  if (value !== "true" && value !== "false") throw new Error(`must be true or false, not "${value}"`);
  return value === "true";
}

export function text(value: string): string {
  if (value === "") throw new Error("must not be empty");
  return value;
}

/** What every header can carry. It must not be shown. */
export function secret(value: string): string {
  if (!/^[\x21-\x7e]+$/.test(value)) throw new Error("must be visible ASCII characters without spaces");
  return value;
}

export function retention(value: string): number {
  const [, digits = "", unit = ""] = /^(\d{1,6})([hd])$/.exec(value) ?? [];
  const ms = Number(digits) * (RETENTION_UNITS_MS[unit] ?? 0);
  if (ms < HOUR_MS || ms > MAX_RETENTION_MS) {
    throw new Error(`must be hours or days from 1h to 3650d, such as 30d, not "${value}"`);
  }
  return ms;
}

export function fileOrOff(value: string): string | false {
  return value === "off" ? false : text(value);
}

export function urls(value: string): string[] {
  return value.split(",").map((part) => {
    const url = URL.parse(part.trim());
    if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
      throw new Error(`must be http:// or https:// addresses separated by commas, not "${value}"`);
    }
    return url.origin + url.pathname.replace(/\/$/, "");
  });
}

/** As browsers write them: scheme, host and a port that is not the scheme's own. */
export function origins(value: string): string[] {
  return value.split(",").map((part) => {
    const url = URL.parse(part.trim());
    const isHttp = url !== null && (url.protocol === "http:" || url.protocol === "https:");
    if (!isHttp || url.href !== `${url.origin}/` || url.host.includes("*")) {
      throw new Error(`must be origins such as https://page.example, separated by commas, not "${value}"`);
    }
    return url.origin;
  });
}
