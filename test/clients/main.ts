/**
 * Runs the agents of examples/clients against one bus and compares what they saw: `npm run test:clients`. Ends with a line
 * `N passed, N failed`; exit code 1 when a client failed, 2 when it was not understood.
 */
import { tmpdir } from "node:os";
import { Progress } from "../../bench/progress.ts";
import { Workplace } from "../../bench/workplace.ts";
import { type Client, nameOf } from "./clients.ts";
import { missing } from "./find-tools.ts";
import { type Evidence, gist, STEPS } from "./judge.ts";
import { type Made, makeClient, packPackage, tail } from "./make-client.ts";
import { HELP, readOptions } from "./options.ts";
import { type Row, tableOf } from "./print-table.ts";
import { type Report, readReport } from "./report.ts";
import type { Ran } from "./run-agent.ts";
import { type KeptOf, type Ring, runRing } from "./run-ring.ts";

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
const say = (text: string) => process.stdout.write(`${text}\n`);

/** What could be made, by client; why not, for the others. */
async function makeAll(clients: readonly Client[], tell: Progress["tell"]) {
  const made = new Map<Client, Made>();
  const failures = new Map<Client, string>();
  tell("packing the package");
  const agentbus = packPackage();
  // One after the other: a compiler uses all the cores by itself.
  for (const client of clients) {
    tell(`making ${client.name}`);
    try {
      const before = [...made].find(([{ folder }]) => folder === client.folder)?.[1];
      made.set(client, before === undefined ? await makeClient(client.folder, agentbus) : { ...before, ms: undefined });
    } catch (error) {
      failures.set(client, error instanceof Error ? error.message : String(error));
    }
  }
  return { made, failures };
}

function judgeAll(made: ReadonlyMap<Client, Made>, { ran, kept, sends }: Ring): Row[] {
  const clients = [...ran.keys()];
  const reports = clients.map((client) => readReport((ran.get(client) as Ran).printed));
  const at = (i: number) => (i + clients.length) % clients.length;
  const gists = reports.map(gist);
  const usual = gists.toSorted((a, b) => count(gists, b) - count(gists, a))[0];
  return clients.map((client, i) => {
    const { ms, failure, printed } = ran.get(client) as Ran;
    const evidence: Evidence = {
      name: client.name,
      previous: (clients[at(i - 1)] as Client).name,
      next: (clients[at(i + 1)] as Client).name,
      report: reports[i] as Report,
      previousReport: reports[at(i - 1)] as Report,
      nextReport: reports[at(i + 1)] as Report,
      ...(kept.get(client) as KeptOf),
    };
    const own = sends.filter(
      ({ client: name, type }) => client.userAgent.test(name) && (!client.page || type === client.speaks.type),
    );
    const spoke = [...new Set(own.map(nameOf))];
    const steps: Readonly<Record<string, boolean>> = {
      spoke: spoke.length === 1 && spoke[0] === nameOf(client.speaks),
      ...Object.fromEntries(Object.entries(STEPS).map(([step, passed]) => [step, passed(evidence)])),
      alike: gists[i] === usual,
    };
    const wrong = Object.keys(steps).filter((step) => !steps[step]);
    const madeMs = made.get(client)?.ms;
    return {
      client: client.name,
      spoke: spoke.join(" and ") || "nothing",
      make: madeMs === undefined ? "made before" : seconds(madeMs),
      run: seconds(ms),
      steps,
      failure: failure ?? (wrong.length === 0 ? undefined : `it ended well, but not with ${wrong.join(", ")}`),
      printed,
    };
  });
}

const count = (all: readonly string[], one: string) => all.filter((other) => other === one).length;

async function main(clients: readonly Client[]): Promise<boolean> {
  const progress = new Progress();
  const workplace = new Workplace(tmpdir());
  const skipped = clients.flatMap((client) => {
    const why = missing(client);
    return why === undefined ? [] : [{ client, why }];
  });
  const there = clients.filter((client) => skipped.every(({ client: other }) => other !== client));
  const { made, failures } = await makeAll(there, progress.tell);
  const rows = made.size === 0 ? [] : judgeAll(made, await runRing(workplace, made, progress.tell));
  progress.done();

  say(tableOf(rows));
  for (const { client, failure, printed } of rows) {
    if (failure !== undefined) say(`\n${client} FAILED: ${tail(failure)}\nIt printed:\n${printed}`);
  }
  for (const [{ name }, why] of failures) say(`\n${name} FAILED: ${why}`);
  for (const { client, why } of skipped) say(`skipped: ${client.name} (${why})`);
  const isFailure = process.env["CI"] === "true";
  if (isFailure && skipped.length > 0) say("with CI=true what is skipped has failed");
  const failed = rows.filter(({ failure }) => failure !== undefined).length + failures.size;
  const passed = rows.length + failures.size - failed;
  const left = isFailure ? 0 : skipped.length;
  say(`${passed} passed, ${failed + skipped.length - left} failed${left > 0 ? `, ${left} skipped` : ""}`);
  return failed === 0 && skipped.length === left;
}

let chosen: readonly Client[] | undefined;
try {
  chosen = readOptions(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(2);
}
if (chosen === undefined) process.stdout.write(HELP);
else process.exitCode = (await main(chosen)) ? 0 : 1;
