/**
 * What a program says when it makes a client, and how the settings table fills in what it leaves out. It must not know
 * what a client does.
 */
import type { Duplex } from "node:stream";
import { environmentName, readSettings, SettingError, settings } from "../config.ts";

export interface BusClientOptions {
  /** Addresses of the nodes of one bus, in the order of preference. Absent: AGENTBUS_URL, or http://127.0.0.1:8091. */
  readonly urls?: string | readonly string[] | undefined;
  /** Absent: AGENTBUS_TOKEN; "": none, whatever the environment says. */
  readonly token?: string | undefined;
  /** Who you are: the default of every `from`, and whose inbox it is. Absent: AGENTBUS_AGENT; "": nobody. */
  readonly agent?: string | undefined;
  /** For who lives in the bus's own process: gives connections to it, and `urls` are not dialed. */
  readonly connect?: (() => Duplex) | undefined;
  /**
   * File in which messages are kept while no bus can be reached; false: none is kept, and send() throws an
   * UnreachableError. Absent: AGENTBUS_OUTBOX, or a file in the user's own folder of states. A host's programs share it.
   */
  readonly outbox?: string | false | undefined;
  /** How long one try of a call may stay without an answer, in milliseconds, besides the time it waits for mail: 15,000. */
  readonly timeoutMs?: number | undefined;
  /**
   * For how long a call is repeated, in milliseconds, from its first failure on: 10,000; 0: never. Only what is safe to
   * repeat is: see docs/typescript-client.md. A rate limit that ends later is thrown at once.
   */
  readonly retryForMs?: number | undefined;
}

/** A misspelled one is refused: a program in JavaScript that says `url` would be taken to another bus than it means. */
const OPTIONS: Readonly<Record<keyof BusClientOptions, true>> = {
  urls: true,
  token: true,
  agent: true,
  connect: true,
  outbox: true,
  timeoutMs: true,
  retryForMs: true,
};

/**
 * What the options leave out is settled as on the command line. Of the environment only what no option says: a variable
 * that is wrong, but not asked for, must not matter. Throws a SettingError.
 */
export function settleOptions(options: BusClientOptions) {
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(OPTIONS, name));
  if (unknown !== undefined) {
    throw new SettingError(`a BusClient has no option ${unknown}; it has ${Object.keys(OPTIONS).join(", ")}`);
  }
  const { urls, token, agent, outbox } = options;
  const said = { url: urls, token, agent, outbox };
  const names = (Object.keys(said) as (keyof typeof said)[]).filter((name) => said[name] === undefined);
  const environment = names.map(environmentName).map((name) => [name, process.env[name]]);
  const given = readSettings({}, Object.fromEntries(environment));
  return {
    url: urls === undefined ? given.url : parseUrls([urls].flat()),
    token: (token ?? given.token) || undefined,
    agent: (agent ?? given.agent) || undefined,
    outbox: outbox ?? given.outbox,
  };
}

function parseUrls(urls: readonly string[]): readonly string[] {
  try {
    return settings.url.parse(urls.join(","));
  } catch (error) {
    throw new SettingError(`urls ${error instanceof Error ? error.message : String(error)}`);
  }
}
