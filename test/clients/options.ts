/** The command line of `npm run test:clients`: what it accepts and how it explains itself. */
import { parseArgs } from "node:util";
import { CLIENTS, type Client } from "./clients.ts";

export const HELP = `Usage: npm run test:clients -- [options]

Makes the agents of examples/clients as their READMEs say, in .cache/clients (a second run makes only what has changed), from
the package as npm would pack it. Starts a bus with a token and a rate limit of 1/s, lets all agents at once write to each
other in a ring, and compares what they saw with each other and with the history of the bus.

Options:
  --only NAME[,NAME]  Only these: ${CLIENTS.map(({ name }) => name).join(", ")}.
                      The first part of a name is enough: go, python, browser.
  -h, --help          Show this.

A client whose tools are missing is skipped, by name; with CI=true that is a failure. Exit code 1 when a client failed.
`;

/** undefined: only help was asked for. Throws for what it does not know. */
export function readOptions(args: string[]): readonly Client[] | undefined {
  const { values } = parseArgs({
    args,
    options: { only: { type: "string" }, help: { type: "boolean", short: "h", default: false } },
  });
  if (values.help) return undefined;
  if (values.only === undefined) return CLIENTS;
  const chosen = values.only.split(",").map((wanted) => {
    const found = CLIENTS.filter(({ name }) => name === wanted || name.startsWith(`${wanted}-`));
    if (found.length === 0) throw new Error(`--only ${wanted}: there is no such client; see --help`);
    return found;
  });
  return CLIENTS.filter((client) => chosen.flat().includes(client));
}
