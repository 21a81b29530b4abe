/** Waits for a bus that the command line runs. */
import type { RunningCli } from "./run-cli.ts";

/** Where it listens, from the line that it prints when it does. */
export async function serving(running: RunningCli): Promise<string> {
  let printed = "";
  for await (const chunk of running.stdout.iterator({ destroyOnReturn: false })) {
    printed += String(chunk);
    const [, url] = /^agentbus listens on (http:\S+)\n/.exec(printed) ?? [];
    if (url !== undefined) return url;
  }
  throw new Error(`the bus did not start: ${printed}${running.stderr()}`);
}
