/** Says where a file of this user's own state lies. It must not know what is in it. */
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/** Below $XDG_STATE_HOME, whose specification says that a relative one counts as none. */
export function stateFile(
  path: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const given = environment["XDG_STATE_HOME"] ?? "";
  return join(isAbsolute(given) ? given : join(homedir(), ".local", "state"), path);
}
