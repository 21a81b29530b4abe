/**
 * The one table of settings: name, flag, environment variable, unit, default, help. The command line, its `--help` and
 * the table in README.md are made from it. It knows no option parser and reads no environment of its own.
 */
import { DEFAULT_MAX_BODY_BYTES, MAX_MAX_BODY_BYTES } from "./message.ts";
import { parseRateLimit, type RateLimit } from "./rate-limit.ts";
import { fileOrOff, integer, oneOf, origins, retention, secret, text, truth, urls } from "./setting-values.ts";

/** How one setting is written, read and explained. */
interface SettingSpec<T> {
  /** Long flag without the dashes; its environment variable is AGENTBUS_ and the same in upper case, unless `env` says otherwise. */
  readonly flag: string;
  /** Environment variable, where it differs from the flag's name. */
  readonly env?: string;
  /** What stands behind the flag in `--help`; "": the flag alone means true. */
  readonly placeholder: string;
  /** As a person would write it; undefined: none. */
  readonly default: string | undefined;
  /** One sentence with unit and bounds. */
  readonly help: string;
  /** "serve": the server's; "call": of every command that calls a bus. */
  readonly scope: "serve" | "call" | "both";
  /** Reads what a person wrote; throws an Error that says what is allowed. */
  readonly parse: (text: string) => T;
}

const setting = <T>(spec: SettingSpec<T>): SettingSpec<T> => spec;

export const settings = {
  host: setting({
    flag: "host",
    placeholder: "ADDRESS",
    default: "127.0.0.1",
    help: "Address to listen on. Without a token only a loopback address is accepted.",
    scope: "serve",
    parse: text,
  }),
  port: setting({
    flag: "port",
    placeholder: "PORT",
    default: "8091",
    help: "TCP port for every protocol, 0-65535; 0 takes a free one.",
    scope: "serve",
    parse: integer(0, 65_535),
  }),
  store: setting({
    flag: "store",
    placeholder: "URL",
    default: "sqlite:./data/agentbus.db",
    help: "Where the mail is kept: sqlite:PATH.",
    scope: "serve",
    parse: text,
  }),
  token: setting({
    flag: "token",
    placeholder: "TOKEN",
    default: undefined,
    help: "The shared bus token. Better given by the environment: a flag shows in the process list.",
    scope: "both",
    parse: secret,
  }),
  requireAgentTokens: setting({
    flag: "require-agent-tokens",
    placeholder: "",
    default: "false",
    help: "Switch the shared token off: every call needs an agent's or an admin's token (agentbus token create).",
    scope: "serve",
    parse: truth,
  }),
  corsOrigin: setting({
    flag: "cors-origin",
    placeholder: "ORIGIN[,ORIGIN]",
    default: undefined,
    help: "Pages of these origins, such as https://page.example, may call the bus from a browser.",
    scope: "serve",
    parse: origins,
  }),
  rateLimit: setting<RateLimit | undefined>({
    flag: "rate-limit",
    placeholder: "N/UNIT",
    default: "10/min",
    help: "Messages of one sender in any window: N/s, N/min, N/hour, or off.",
    scope: "serve",
    parse: parseRateLimit,
  }),
  unknownRecipients: setting({
    flag: "unknown-recipients",
    placeholder: "hold|reject",
    default: "hold",
    help: "Mail to a name that nobody registered: hold it until that name pulls, or reject it (UNKNOWN_AGENT).",
    scope: "serve",
    parse: oneOf("hold", "reject"),
  }),
  maxBodyBytes: setting({
    flag: "max-body-bytes",
    placeholder: "BYTES",
    default: String(DEFAULT_MAX_BODY_BYTES),
    help: `Largest body, in bytes of UTF-8, 1-${MAX_MAX_BODY_BYTES}.`,
    scope: "serve",
    parse: integer(1, MAX_MAX_BODY_BYTES),
  }),
  maxCalls: setting({
    flag: "max-calls",
    placeholder: "N",
    default: "2000",
    help: "Calls worked on at once, 1-100000, besides pulls that wait; further ones are told to come back (BUSY).",
    scope: "serve",
    parse: integer(1, 100_000),
  }),
  tlsCert: setting({
    flag: "tls-cert",
    placeholder: "FILE",
    default: undefined,
    help: "Certificate chain (PEM): serve TLS, HTTP/2 and HTTP/1.1 by ALPN. A changed file is taken up by itself.",
    scope: "serve",
    parse: text,
  }),
  tlsKey: setting({
    flag: "tls-key",
    placeholder: "FILE",
    default: undefined,
    help: "Private key (PEM) of --tls-cert.",
    scope: "serve",
    parse: text,
  }),
  maxAttempts: setting({
    flag: "max-attempts",
    placeholder: "N",
    default: "10",
    help: "Leases of one message before it is a dead letter, 1-1000.",
    scope: "serve",
    parse: integer(1, 1000),
  }),
  maxInbox: setting({
    flag: "max-inbox",
    placeholder: "N",
    default: "100000",
    help: "Unread messages of one inbox, 1-10000000; further mail to it is refused (INBOX_FULL).",
    scope: "serve",
    parse: integer(1, 10_000_000),
  }),
  retentionMs: setting({
    flag: "retention",
    placeholder: "N(h|d)",
    default: "30d",
    help: "How long read mail and dead letters are kept, from their end, 1h-3650d. Unread mail is never removed.",
    scope: "serve",
    parse: retention,
  }),
  maxHops: setting({
    flag: "max-hops",
    placeholder: "N",
    default: "50",
    help: "Longest chain of replies, 1-10000; a longer one is refused (TOO_MANY_HOPS).",
    scope: "serve",
    parse: integer(1, 10_000),
  }),
  logLevel: setting({
    flag: "log-level",
    placeholder: "LEVEL",
    default: "info",
    help: "trace, debug (every request), info, warn, error or silent.",
    scope: "serve",
    parse: oneOf("trace", "debug", "info", "warn", "error", "silent"),
  }),
  url: setting({
    flag: "url",
    placeholder: "URL[,URL]",
    default: "http://127.0.0.1:8091",
    help: "The bus to call; further addresses are tried in order when one cannot be reached.",
    scope: "call",
    parse: urls,
  }),
  agent: setting({
    flag: "as",
    env: "AGENTBUS_AGENT",
    placeholder: "NAME",
    default: undefined,
    help: "The agent that you are.",
    scope: "call",
    parse: text,
  }),
  outbox: setting({
    flag: "outbox",
    placeholder: "FILE|off",
    default: "$XDG_STATE_HOME/agentbus/outbox.db",
    help: "What you send while the bus is away is kept here, or not at all (off). Without that variable: ~/.local/state.",
    scope: "call",
    parse: fileOrOff,
  }),
};

export type SettingName = keyof typeof settings;

/** Every setting with its value; one without a default may be undefined. */
export type Settings = { [K in SettingName]: ReturnType<(typeof settings)[K]["parse"]> | Absent<K> };
type Absent<K extends SettingName> = K extends "token" | "agent" | "corsOrigin" | "tlsCert" | "tlsKey"
  ? undefined
  : never;

export function environmentName(name: SettingName): string {
  const spec: SettingSpec<unknown> = settings[name];
  return spec.env ?? `AGENTBUS_${spec.flag.replaceAll("-", "_").toUpperCase()}`;
}

/** Thrown for a value that a person gave and that can't be used; the message is for that person. */
export class SettingError extends Error {}

/**
 * Settles every setting: a flag beats the environment, which beats the default. An empty variable counts as absent.
 * Throws a SettingError that names the flag or variable.
 */
export function readSettings(
  flags: Partial<Record<SettingName, string>>,
  environment: Readonly<Record<string, string | undefined>>,
): Settings {
  const values: Record<string, unknown> = {};
  for (const name of Object.keys(settings) as SettingName[]) {
    const spec: SettingSpec<unknown> = settings[name];
    const variable = environmentName(name);
    const flag = flags[name];
    const fromEnvironment = environment[variable] || undefined;
    const written = flag ?? fromEnvironment ?? spec.default;
    try {
      values[name] = written === undefined ? undefined : spec.parse(written);
    } catch (cause) {
      const source = flag !== undefined ? `--${spec.flag}` : variable;
      throw new SettingError(`${source} ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
  }
  return values as Settings;
}
