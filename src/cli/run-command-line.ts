/**
 * The command line as a whole: finds the command, lets commander parse, and shows whatever ends it badly. It must not
 * know what a command does, and loads only the one that was named.
 */
import { Command, CommanderError } from "commander";
import { SettingError, settings } from "../config.ts";
import { EXIT, type ExitCode, exitCodeHelp } from "./exit-codes.ts";
import { Failure, localFailure, usageFailure } from "./failure.ts";
import { packageVersion } from "./package-version.ts";
import { callSettings, settingHelp } from "./setting-options.ts";
import { hasDocument, say, writeDocument } from "./write-output.ts";

interface Entry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** In the order of use. */
const groups: Readonly<Record<string, Readonly<Record<string, Entry>>>> = {
  "Write and read:": {
    send: {
      summary: "Send a message to one agent, or to ALL",
      load: async () => (await import("./send.ts")).sendCommand(),
    },
    broadcast: {
      summary: "Send a message to every registered agent",
      load: async () => (await import("./broadcast.ts")).broadcastCommand(),
    },
    inbox: {
      summary: "Print unread mail and acknowledge what was printed",
      load: async () => (await import("./inbox.ts")).inboxCommand(),
    },
    ack: {
      summary: "Mark messages as read",
      load: async () => (await import("./ack.ts")).ackCommand(),
    },
    show: {
      summary: "Print one message, read or not",
      load: async () => (await import("./show.ts")).showCommand(),
    },
    receipt: {
      summary: "Say what became of a message, inbox by inbox",
      load: async () => (await import("./receipt.ts")).receiptCommand(),
    },
    outbox: {
      summary: "See and send what was kept while the bus was away",
      load: async () => (await import("./outbox.ts")).outboxCommand(),
    },
  },
  "Give it to an agent:": {
    mcp: {
      summary: "Serve the bus as tools to an MCP host, on stdio",
      load: async () => (await import("./mcp.ts")).mcpCommand(),
    },
  },
  "Agents:": {
    agents: {
      summary: "List agents and what waits for them",
      load: async () => (await import("./agents.ts")).agentsCommand(),
    },
    work: {
      summary: "Run a program for each message of an agent",
      load: async () => (await import("./work.ts")).workCommand(),
    },
    register: {
      summary: "Register an agent, or change its description",
      load: async () => (await import("./register.ts")).registerCommand(),
    },
    remove: {
      summary: "Remove an agent",
      load: async () => (await import("./remove.ts")).removeCommand(),
    },
  },
  "Run a bus:": {
    serve: {
      summary: "Run the bus on this machine",
      load: async () => (await import("./serve.ts")).serveCommand(),
    },
    token: {
      summary: "Make, list and revoke tokens of agents and admins",
      load: async () => (await import("./token.ts")).tokenCommand(),
    },
    backup: {
      summary: "Copy the store into a file while the bus runs",
      load: async () => (await import("./backup.ts")).backupCommand(),
    },
  },
};

function isCommand(word: string): boolean {
  return Object.values(groups).some((entries) => Object.hasOwn(entries, word));
}

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
  const complaint = error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
  return usageFailure(
    `${complaint}${/[.?)]$/.test(complaint) ? "" : "."} See: agentbus ${known ? `${words[0]} ` : ""}--help`,
  );
}
