/** A command that calls a bus in the name of an agent. It must not know what is asked of the bus. */
import type { Command } from "commander";
import { callSettings, settingsCommand } from "./setting-options.ts";

/** What its agent could not send before is tried first, unless it sends through the outbox, or must not change anything. */
export function callCommand(name: string, { flushFirst = true } = {}): Command {
  const command = settingsCommand(name, callSettings, "Who and where:");
  if (!flushFirst) return command;
  return command.hook("preAction", async (_, called) => {
    const { flushBefore } = await import("./flush-outbox.ts");
    await flushBefore(called);
  });
}
