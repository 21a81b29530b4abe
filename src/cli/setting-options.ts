/**
 * Makes options of the settings table and settles what was given. It must not know any setting by its name, apart from
 * who speaks.
 */
import { Command, InvalidArgumentError, Option } from "commander";
import { environmentName, readSettings, type SettingName, type Settings, settings } from "../config.ts";
import { usageFailure } from "./failure.ts";

const names = Object.keys(settings) as SettingName[];
const ofScope = (scope: "serve" | "call" | "both") => names.filter((name) => settings[name].scope === scope);
export const callSettings = [...ofScope("call"), ...ofScope("both")];
export const serveSettings = [...ofScope("serve"), ...ofScope("both")];

/** What every command has. */
export interface CommonOptions {
  readonly json?: boolean;
}

/** A command with these settings as options, and --json. */
export function settingsCommand(name: string, of: readonly SettingName[], heading: string): Command {
  const command = new Command(name);
  command.option("--json", "Print one JSON document on stdout, also for an error; all else goes to stderr.");
  for (const setting of of) command.addOption(settingOption(setting).helpGroup(heading));
  return command;
}

function settingOption(name: SettingName): Option {
  const { flag, placeholder } = settings[name];
  const option = new Option(placeholder === "" ? `--${flag}` : `--${flag} <${placeholder}>`, settingHelp(name));
  // Commander takes a "[" anywhere, as in URL[,URL], for a value that may be left out.
  option.optional = false;
  return option;
}

/** Commander is not told of default and variable: it would settle them itself, and not name the variable in an error. */
export function settingHelp(name: SettingName): string {
  const fallback = settings[name].default;
  return `${settings[name].help} (${fallback === undefined ? "" : `default: ${fallback}, `}env: ${environmentName(name)})`;
}

/** Settles the settings that this command has; variables of the others are not looked at. */
export function settle(command: Command, of: readonly SettingName[]): Settings {
  const flags: Partial<Record<SettingName, string>> = {};
  const environment: Record<string, string | undefined> = {};
  for (const name of of) {
    const option = command.options.find(({ long }) => long === `--${settings[name].flag}`);
    const given = option && command.getOptionValue(option.attributeName());
    if (typeof given === "string" || typeof given === "boolean") flags[name] = String(given);
    environment[environmentName(name)] = process.env[environmentName(name)];
  }
  return readSettings(flags, environment);
}

/** Who the caller is. */
export function agentOf(given: Settings): string {
  if (given.agent === undefined) throw usageFailure("say who you are: --as NAME or AGENTBUS_AGENT");
  return given.agent;
}

/** For options that are no settings. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}
