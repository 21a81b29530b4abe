/** `agentbus search`: finds words in an agent's mail. It must not change any of it, nor know how words are found. */
import type { Command } from "commander";
import { callCommand } from "./call-command.ts";
import { type ListOptions, listMail, withListOptions } from "./list-mail.ts";

export function searchCommand(): Command {
  return withListOptions(callCommand("search"))
    .description(
      "List your mail with all of these words in subject or body, newest first. Whole words, in any case; what was sent a second ago may be missing.",
    )
    .argument("<TEXT>", "One or more words.")
    .addHelpText(
      "after",
      `
Examples:
  agentbus search "release notes" --as jack
  agentbus search deploy --sent --since 7d --as joe`,
    )
    .action((text: string, options: ListOptions, command: Command) => listMail(options, command, text));
}
