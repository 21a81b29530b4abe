/** `agentbus register`: registers an agent or changes its description. It must not know what a good name is. */
import type { Command } from "commander";
import { RegisterAgentResponseSchema } from "#gen/agentbus/v1/message_bus_pb.js";
import { answerOf, busOf } from "./call-bus.ts";
import { callCommand } from "./call-command.ts";
import { type CommonOptions, callSettings, settle } from "./setting-options.ts";
import { writeAnswer } from "./write-output.ts";

interface RegisterOptions extends CommonOptions {
  readonly description?: string;
}

export function registerCommand(): Command {
  return callCommand("register")
    .description(
      "Register an agent, so that broadcasts reach it and others find it. Sending and reading register, too.",
    )
    .argument("<NAME>", "1-64 of a-z 0-9 . _ -, starting with a letter or digit.")
    .option("-d, --description <TEXT>", 'What it is for; "" removes it. (default: unchanged)')
    .addHelpText(
      "after",
      `
Example:
  agentbus register jack -d "Reviews pull requests of the API"`,
    )
    .action(register);
}

async function register(agent: string, options: RegisterOptions, command: Command): Promise<void> {
  const description = options.description === undefined ? {} : { description: options.description };
  const answer = await answerOf(busOf(settle(command, callSettings)).registerAgent({ agent, ...description }));
  const name = answer.agent?.name ?? agent;
  await writeAnswer(options.json, RegisterAgentResponseSchema, answer, () => `${name} is registered\n`);
}
