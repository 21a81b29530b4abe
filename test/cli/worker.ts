/** Starts `agentbus work` for one agent of a bus under test, and asks that bus what became of a message. */
import type { TestBus } from "../start-bus.ts";
import { type CliOptions, type RunningCli, startCli } from "./run-cli.ts";

/** `shell` is a script for sh: what COMMAND does. */
export function startWorker(
  bus: Pick<TestBus, "url">,
  agent: string,
  words: readonly string[],
  shell: string,
  options: CliOptions = {},
): RunningCli {
  const env = { AGENTBUS_URL: bus.url, ...options.env };
  return startCli(["work", agent, ...words, "--", "sh", "-c", shell], { ...options, env });
}

/** State and attempts of one message in its recipient's inbox. */
export async function deliveryOf(
  bus: TestBus,
  agent: string,
  messageId: string,
): Promise<[state: string, attempts: number]> {
  const { message } = await bus.ok("GetMessage", { agent, messageId });
  return [message.state.replace("DELIVERY_STATE_", ""), message.deliveryAttempt ?? 0];
}

/** True while the process is there. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
