/** One finding of `agentbus doctor`. It must not know how it was found. */

export interface Check {
  /** What was looked at, such as "token". */
  readonly name: string;
  readonly status: "ok" | "warn" | "fail";
  /** What was found, and what to do about it. */
  readonly message: string;
}

export const ok = (name: string, message: string): Check => ({ name, status: "ok", message });
export const warn = (name: string, message: string): Check => ({ name, status: "warn", message });
export const fail = (name: string, message: string): Check => ({ name, status: "fail", message });
