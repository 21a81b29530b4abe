/** `agentbus redrive`: makes dead letters unread mail again. It must not know why they died. */
import type { Command } from "commander";
import { RedriveDeadLettersResponseSchema } from "#gen/agentbus/v1/message_bus_pb.js";
import { answerOf, busOf } from "./call-bus.ts";
import { callCommand } from "./call-command.ts";
import { EXIT } from "./exit-codes.ts";
import { agentOf, type CommonOptions, callSettings, settle } from "./setting-options.ts";
import { say, writeAnswer } from "./write-output.ts";

export function redriveCommand(): Command {
  return callCommand("redrive")
    .description("Make dead letters of your inbox unread again, at its end, without expiry and with fresh attempts.")
    .argument("[ID...]", "Ids of dead letters, at most 1000. (default: all of them)")
    .addHelpText(
      "after",
      `
Examples:
  agentbus history --dead --as jack
  agentbus redrive 0198c0de-7a31-7c52-9d0e-3f1f4a1b2c3d --as jack
  agentbus redrive --as jack`,
    )
    .action(redrive);
}

async function redrive(messageIds: string[], options: CommonOptions, command: Command): Promise<void> {
  const settings = settle(command, callSettings);
  const agent = agentOf(settings);
  const answer = await answerOf(busOf(settings).redriveDeadLetters({ agent, messageIds }));
  const { redrivenCount, unknownMessageIds: unknown } = answer;
  await writeAnswer(options.json, RedriveDeadLettersResponseSchema, answer, () => `${redrivenCount} redriven\n`);
  if (unknown.length > 0) {
    say(`no dead letters of ${agent}: ${unknown.join(" ")}`);
    process.exitCode = EXIT.refused;
  } else if (redrivenCount === 0) {
    say(`no dead letters of ${agent}`);
    process.exitCode = EXIT.nothing;
  }
}
