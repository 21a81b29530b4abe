/** Tells an administrative act that no bus sees: who did what to whom, and when. It must not be given a token. */
import { userInfo } from "node:os";
import { say } from "./write-output.ts";

export interface Act {
  readonly audit: "TokenCreate" | "TokenRevoke";
  readonly tokenId: string;
  /** null: an admin token. */
  readonly agent: string | null;
}

/** pino's number for "info": the line is one of the bus's log. */
const INFO = 30;

/** One line on stderr, as the bus's own log has them: JSON for whoever collects it, words on a terminal. */
export function tellAct(act: Act, inWords: string): void {
  const time = new Date().toISOString();
  const by = { kind: "host", user: userName() };
  say(process.stderr.isTTY ? inWords : JSON.stringify({ level: INFO, time, ...act, by, msg: inWords }));
}

/** Of the operating system, whose users are all that this host knows; its number, where it has no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? "");
  }
}
