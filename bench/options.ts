/**
 * The benchmark's command line: what it accepts and how it explains itself.
 */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { MAIN } from "./start-servers.ts";

export interface Options {
  readonly rounds: number;
  /** How long each phase of a round takes. */
  readonly phaseMs: number;
  /** How often a bus with waiting pulls is measured. */
  readonly waitingRounds: number;
  /** Where the databases are made. */
  readonly folder: string;
  /** File for all samples. */
  readonly json: string | undefined;
  /** Folder of another build of the package, measured in the same run. */
  readonly against: string | undefined;
}

export const HELP = `Usage: npm run bench -- [options]

Measures a bus in a process of its own, over real sockets, every Send synced to disk, between two limits of the same
machine in the same run: a bare node:http server, and inserts of the same rows without any bus. Machines differ and are
noisy: believe the ratios.

Options:
  --quick         One short round, about 15 s: shows that it works, not how fast.
  --folder DIR    Make the databases there, on the disk to be measured (default: the system's temporary folder).
  --against DIR   Measure another build too: a folder like this package's, with package.json, dist, gen, node_modules.
  --json FILE     Write all samples there.
  -h, --help      Show this.
`;

/** undefined: only help was asked for. Throws for what it does not know. */
export function readOptions(args: string[]): Options | undefined {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: "boolean", default: false },
      folder: { type: "string", default: tmpdir() },
      against: { type: "string" },
      json: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const { folder, against } = values;
  if (!existsSync(folder)) throw new Error(`--folder ${folder} is not there`);
  if (against !== undefined && !existsSync(join(against, MAIN))) throw new Error(`--against ${against} has no ${MAIN}`);
  const length = values.quick
    ? { rounds: 1, phaseMs: 500, waitingRounds: 1 }
    : { rounds: 5, phaseMs: 1000, waitingRounds: 3 };
  return { ...length, folder, json: values.json, against };
}
