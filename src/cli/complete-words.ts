/**
 * Says how the last word of a command line may go on, from the same declarations that parse it. It must not know any
 * shell, and fails silently: whoever presses TAB did not ask for an error.
 */
import type { Command, Option } from "commander";
import { connectBus } from "../client/connect-bus.ts";
import { readSettings, settings } from "../config.ts";
import { ALL, foldName, MAX_PAGE_SIZE } from "../message.ts";
import { groups } from "./command-table.ts";

/** Nobody waits longer for a TAB. */
const ANSWER_MS = 1000;

export interface Completion {
  readonly value: string;
  readonly description: string;
}

/** What may stand there, or "files". */
export type Completions = readonly Completion[] | "files";

/** `words` are those behind "agentbus"; the last one is being written and may be empty. */
export async function completeWords(words: readonly string[]): Promise<Completions> {
  const current = words.at(-1) ?? "";
  // Bash makes words of their own of "--as=jo": "--as", "=" and "jo".
  const split = current === "=" ? [...words, ""] : words;
  const line = await readLine(split.filter((word, i) => word !== "=" || !/^--/.test(split[i - 1] ?? "")));
  return line.command === undefined ? startingWith(line.last, line.names) : completionsIn(line);
}

/** No command yet: what may stand there instead. */
interface Beginning {
  readonly command?: undefined;
  readonly names: readonly Completion[];
  readonly last: string;
}

interface Line {
  readonly command: Command;
  /** Long flags with their values, as far as they were given. */
  readonly given: ReadonlyMap<string, string>;
  readonly positionals: number;
  /** The option whose value comes next. */
  readonly open: Option | undefined;
  readonly last: string;
}

async function readLine(words: readonly string[]): Promise<Line | Beginning> {
  const last = words.at(-1) ?? "";
  const [name, ...done] = words.slice(0, -1);
  if (name === undefined) return { names: [...commandNames(), ...HELPS], last };
  if (name === "help" && done.length === 0) return { names: commandNames(), last };
  const entry = Object.values(groups).find((entries) => Object.hasOwn(entries, name))?.[name];
  if (entry === undefined) return { names: [], last };
  let command = await entry.load();
  const given = new Map<string, string>();
  let positionals = 0;
  let open: Option | undefined;
  for (const word of done) {
    if (open !== undefined) {
      given.set(open.long ?? "", word);
      open = undefined;
      continue;
    }
    const part = positionals === 0 ? command.commands.find((one) => one.name() === word) : undefined;
    if (part !== undefined) command = part;
    else if (!word.startsWith("-")) positionals++;
    else {
      const [flag = "", value] = word.split("=", 2);
      const option = command.options.find(({ long, short }) => long === flag || short === flag);
      if (value !== undefined) given.set(flag, value);
      else if (option?.required) open = option;
    }
  }
  return { command, given, positionals, open, last };
}

async function completionsIn(line: Line): Promise<Completions> {
  const { command, open, last } = line;
  if (open !== undefined) return valuesOf(open, last, line);
  const [, flag, value = ""] = /^(--[a-z-]+)=(.*)$/.exec(last) ?? [];
  const inline = command.options.find(({ long }) => long === flag && flag !== undefined);
  if (inline !== undefined) {
    const values = await valuesOf(inline, value, line);
    return values === "files" ? values : values.map((one) => ({ ...one, value: `${flag}=${one.value}` }));
  }
  if (last.startsWith("-")) return startingWith(last, flagsOf(command));
  const parts = line.positionals === 0 ? visibleParts(command) : [];
  if (parts.length > 0) return startingWith(last, parts);
  const declared = command.registeredArguments;
  const argument = declared[line.positionals] ?? declared.findLast(({ variadic }) => variadic);
  if (argument === undefined) return [];
  return valuesFor(argument.name(), argument.argChoices, last, line);
}

function commandNames(): Completion[] {
  const known = Object.values(groups).flatMap((entries) => Object.entries(entries));
  return known.map(([value, { summary }]) => ({ value, description: summary }));
}

const HELPS: readonly Completion[] = [
  { value: "help", description: "Explain a command" },
  { value: "--help", description: "Explain it." },
  { value: "--version", description: "Print the version." },
];

function visibleParts(command: Command): Completion[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((part) => command.commands.includes(part))
    .map((part) => ({ value: part.name(), description: part.description() }));
}

function flagsOf(command: Command): Completion[] {
  const options = command.createHelp().visibleOptions(command);
  return options.flatMap(({ long, description }) => (long ? [{ value: long, description }] : []));
}

function valuesOf(option: Option, begun: string, line: Line): Promise<Completions> | Completions {
  const [, placeholder = ""] = /[<[](.+)[>\]]$/.exec(option.flags) ?? [];
  return valuesFor(placeholder, option.argChoices, begun, line);
}

/** By what stands behind a flag or for an argument in `--help`. */
async function valuesFor(
  placeholder: string,
  choices: readonly string[] | undefined,
  begun: string,
  line: Line,
): Promise<Completions> {
  const listed = choices ?? (/^[a-z]+(\|[a-z]+)+$/.test(placeholder) ? placeholder.split("|") : undefined);
  if (listed !== undefined)
    return startingWith(
      begun,
      listed.map((value) => ({ value, description: "" })),
    );
  if (placeholder === "FILE" || placeholder === "COMMAND") return "files";
  if (placeholder === "TO") return [...startingWith(begun, [EVERYBODY]), ...(await agentNames(begun, line))];
  return placeholder === "NAME" || placeholder === "AGENT" ? agentNames(begun, line) : [];
}

const EVERYBODY: Completion = { value: ALL, description: "Every registered agent" };

async function agentNames(begun: string, { given }: Line): Promise<Completion[]> {
  const flag = (name: "url" | "token") => {
    const value = given.get(`--${settings[name].flag}`);
    return value === undefined ? {} : { [name]: value };
  };
  try {
    const { url: urls, token } = readSettings({ ...flag("url"), ...flag("token") }, process.env);
    const bus = connectBus({ urls, token, timeoutMs: ANSWER_MS });
    const request = { query: begun, includeUnregistered: true, pageSize: MAX_PAGE_SIZE };
    const { agents } = await bus.listAgents(request, { signal: AbortSignal.timeout(ANSWER_MS) });
    return startingWith(
      foldName(begun),
      agents.map(({ name, description }) => ({ value: name, description })),
    );
  } catch {
    return [];
  }
}

function startingWith(begun: string, all: readonly Completion[]): Completion[] {
  return all.filter(({ value }) => value.startsWith(begun));
}
