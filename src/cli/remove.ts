/** `agentbus remove`: takes an agent off the list. It must not know what becomes of its mail, beyond the count. */
import type { Command } from "commander";
import { RemoveAgentResponseSchema } from "#gen/agentbus/v1/message_bus_pb.js";
import { answerOf, busOf } from "./call-bus.ts";
import { callCommand } from "./call-command.ts";
import { type CommonOptions, callSettings, settle } from "./setting-options.ts";
import { writeAnswer } from "./write-output.ts";

interface RemoveOptions extends CommonOptions {
  readonly force?: boolean;
}

export function removeCommand(): Command {
  return callCommand("remove")
    .description("Remove an agent whose inbox is empty. Its history stays.")
    .argument("<NAME>", "Name of the agent.")
    .option("--force", "Also with unread mail: it becomes dead letters, and its senders are told.")
    .addHelpText(
      "after",
      `
Example:
  agentbus remove jack --force`,
    )
    .action(remove);
}

async function remove(agent: string, options: RemoveOptions, command: Command): Promise<void> {
  const request = { agent, force: options.force ?? false };
  const answer = await answerOf(busOf(settle(command, callSettings)).removeAgent(request));
  const cost = answer.deadCount === 0 ? "" : `; unread messages that are dead letters now: ${answer.deadCount}`;
  await writeAnswer(options.json, RemoveAgentResponseSchema, answer, () => `${agent} is removed${cost}\n`);
}
