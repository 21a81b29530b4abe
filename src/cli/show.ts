/** `agentbus show`: one message whole, whatever its state; changes nothing. It must not know how it was found. */
import type { Command } from "commander";
import { GetMessageResponseSchema } from "#gen/agentbus/v1/message_bus_pb.js";
import { answerOf, busOf } from "./call-bus.ts";
import { callCommand } from "./call-command.ts";
import { messageText } from "./message-text.ts";
import { agentOf, type CommonOptions, callSettings, settle } from "./setting-options.ts";
import { writeAnswer } from "./write-output.ts";

export function showCommand(): Command {
  return callCommand("show")
    .description("Print one message that you sent or received, read or not. Changes nothing.")
    .argument("<ID>", "Id of the message.")
    .addHelpText(
      "after",
      `
Example:
  agentbus show 0198c0de-7a31-7c52-9d0e-3f1f4a1b2c3d --as jack`,
    )
    .action(show);
}

async function show(messageId: string, options: CommonOptions, command: Command): Promise<void> {
  const settings = settle(command, callSettings);
  const agent = agentOf(settings);
  const answer = await answerOf(busOf(settings).getMessage({ agent, messageId }));
  await writeAnswer(options.json, GetMessageResponseSchema, answer, () =>
    answer.message === undefined ? "" : messageText(answer.message, process.stdout.isTTY),
  );
}
