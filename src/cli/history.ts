/** `agentbus history`: an agent's mail, read or not. It must not change any of it, nor know how it is listed. */
import type { Command } from "commander";
import { callCommand } from "./call-command.ts";
import { type ListOptions, listMail, withListOptions } from "./list-mail.ts";

export function historyCommand(): Command {
  return withListOptions(callCommand("history"))
    .description(
      "List your mail, read or not, newest first. Changes nothing; agentbus show ID prints one message whole.",
    )
    .addHelpText(
      "after",
      `
Examples:
  agentbus history --as jack
  agentbus history --sent --peer jack --since 2d --as joe
  agentbus history --dead --all --json --as jack`,
    )
    .action((options: ListOptions, command: Command) => listMail(options, command));
}
