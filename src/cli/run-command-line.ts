/**
 * The command line as a whole: finds the command, lets commander parse, and shows whatever ends it badly. It must not
 * know what a command does, and loads only the one that was named.
 */
import { Command, CommanderError } from "commander";
import { SettingError, settings } from "../config.ts";
import { packageVersion } from "../server/package-version.ts";
import { groups, isCommand } from "./command-table.ts";
import { EXIT, type ExitCode, exitCodeHelp } from "./exit-codes.ts";
import { Failure, localFailure, usageFailure } from "./failure.ts";
import { callSettings, settingHelp } from "./setting-options.ts";
import { hasDocument, say, writeDocument } from "./write-output.ts";

/** Runs one command line and leaves its exit code with the process. */
export async function runCommandLine(words: readonly string[]): Promise<void> {
  // Whoever writes learns it from its own callback; without a listener a reader that hung up would end the process.
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
  try {
    const [first, second] = words.filter((word) => word !== "--");
    const named = first === "help" ? second : first;
    const program = await composeProgram(named);
    // Behind "help" or before "--help", commander would answer an unknown command with the help of the whole.
    const unknown = named !== undefined && !/^-|^help$/.test(named) && !isCommand(named);
    await program.parseAsync(unknown ? [named] : [...words], { from: "user" });
  } catch (error) {
    process.exitCode = await end(error, words);
  }
}

async function composeProgram(named: string | undefined): Promise<Command> {
  const program = new Command("agentbus")
    .description("agentbus is a message bus for AI agents: durable inboxes with the semantics of e-mail.")
    .usage("COMMAND [options]")
    .version(packageVersion(), "-V, --version", "Print the version.")
    .helpOption("-h, --help", "Explain it.")
    .commandsGroup("Help:")
    .helpCommand("help [COMMAND]", "Explain a command, as COMMAND --help does")
    .addHelpText("after", programHelp)
    .exitOverride()
    // Shown by end(), in one line.
    .configureOutput({ outputError: () => {} })
    .configureHelp({ subcommandTerm: (command) => command.name() });
  for (const [heading, entries] of Object.entries(groups)) {
    for (const [name, entry] of Object.entries(entries)) {
      const command = name === named ? await entry.load() : new Command(name);
      program.addCommand(command.copyInheritedSettings(program).summary(entry.summary).helpGroup(heading));
      // Or commander would end the process by itself, in its own words.
      for (const part of command.commands) part.copyInheritedSettings(program);
    }
  }
  return program;
}

function programHelp({ command }: { readonly command: Command }): string {
  const helper = command.createHelp();
  helper.prepareContext({ helpWidth: process.stdout.columns ?? 80 });
  const list = (items: readonly [string, string][]) => {
    const width = Math.max(...items.map(([term]) => term.length));
    return items.map(([term, text]) => helper.formatItem(term, width, text, helper)).join("\n");
  };
  return `
Who and where, of every command that calls a bus (a flag beats its variable):
${list(callSettings.map((name) => [`--${settings[name].flag} <${settings[name].placeholder}>`, settingHelp(name)]))}

Exit codes:
${list(Object.entries(exitCodeHelp).map(([name, help]) => [String(EXIT[name as keyof typeof EXIT]), help]))}

With --json, stdout holds one JSON document in the form of the wire, and all
else goes to stderr. An error is {"code", "reason", "message", "field"} and,
where a repeat is useful, "retryAfterMs".

Examples:
  agentbus serve
  agentbus send jack "Please review PR 12." -s Review --as joe
  AGENTBUS_AGENT=jack agentbus inbox --wait 30
`;
}

/** Tells what ended the command line, and with which exit code. */
async function end(error: unknown, words: readonly string[]): Promise<ExitCode> {
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done;
  // Help instead of an answer, because no command was named: it stands on stderr already.
  if (error instanceof CommanderError && error.code === "commander.help") return EXIT.usage;
  const failure = failureOf(error, words);
  say(failure.message);
  const literal = words.indexOf("--");
  const given = literal < 0 ? words : words.slice(0, literal);
  if (given.includes("--json") && !hasDocument()) {
    await writeDocument(failure.document).catch(() => {});
  }
  // A host takes 2 from a hook for "stop this": a mistyped one must not hold up anyone's work.
  return failure.exitCode === EXIT.usage && given.includes("--hook") ? EXIT.refused : failure.exitCode;
}

function failureOf(error: unknown, words: readonly string[]): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof SettingError) return usageFailure(error.message);
  if (!(error instanceof CommanderError)) return localFailure(error);
  const known = isCommand(words[0] ?? "");
  const complaint = error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ") + misplaced(error, words);
  return usageFailure(
    `${complaint}${/[.?)]$/.test(complaint) ? "" : "."} See: agentbus ${known ? `${words[0]} ` : ""}--help`,
  );
}

/** Where an option belongs that is known, but not there. */
function misplaced({ code }: CommanderError, words: readonly string[]): string {
  if (code !== "commander.unknownOption" || words.includes("--")) return "";
  if (words[0]?.startsWith("-") && words.some(isCommand)) return " before the command: options stand behind it";
  return words[0] === "work" ? " (what COMMAND is given stands behind --)" : "";
}
