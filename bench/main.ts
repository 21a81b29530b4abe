/**
 * `npm run bench`: measures a bus beside the limits of the machine it runs on, prints a table. Nothing is left behind.
 */
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { barePhases, busPhases } from "./bus-phases.ts";
import { LightConnection } from "./light-connection.ts";
import { machineFacts } from "./machine-facts.ts";
import { HELP, type Options, readOptions } from "./options.ts";
import { runRounds } from "./phases.ts";
import { Progress } from "./progress.ts";
import { rawInserts } from "./raw-inserts.ts";
import { type Results, report } from "./report.ts";
import { startBareServer, startBus } from "./start-servers.ts";
import { measureWaiting, type WaitingSample } from "./waiting-pulls.ts";
import { Workplace } from "./workplace.ts";

const EXIT_USAGE = 2;
const LAST_WORDS_MS = 200;

async function measure(options: Options, progress: Progress): Promise<Results> {
  const workplace = new Workplace(options.folder);
  progress.tell("starting");
  const raw = rawInserts(workplace.newFolder("raw"));
  const facts = machineFacts(workplace.folder, raw.sqliteVersion);
  const server = await startBus(workplace, "bus");
  const otherServer = options.against === undefined ? undefined : await startBus(workplace, "other", options.against);
  const bareServer = await startBareServer(workplace, await anyAnswer(server.port));

  const bus = await busPhases(server);
  const other = otherServer && (await busPhases(otherServer, "other: "));
  const bare = barePhases(bareServer);
  // Neighbours in a round are what is compared; a phase of leases takes out what the batches before it put in.
  const ofBus = [bus, ...(other ? [other] : [])];
  const sends = bare.flatMap((limit, i) => [
    limit,
    ...ofBus.map((one) => one.sends[i]).filter((phase) => phase !== undefined),
  ]);
  const inboxes = ofBus.flatMap(({ batches, leases }) => [batches, leases]);
  const phases = [raw.oneByOne, ...sends, ...inboxes, raw.inHundreds];
  const { rounds, phaseMs, waitingRounds } = options;
  const samples = await runRounds({ phases, rounds, phaseMs, tell: progress.tell });
  for (const each of [bareServer, server, otherServer]) await each?.stop();
  raw.close();

  const waiting: WaitingSample[] = [];
  for (let round = 1; round <= waitingRounds; round++) {
    progress.tell(`round ${round} of ${waitingRounds} · waiting pulls`);
    const fresh = await startBus(workplace, `waiting-${round}`);
    waiting.push(await measureWaiting(fresh));
    await fresh.stop();
  }
  return { facts, rounds, phaseMs, samples, bus, other, bare, raw, waiting };
}

/** What a bus answers to a Send. */
async function anyAnswer(port: number): Promise<string> {
  const connection = await LightConnection.open(port);
  const answer = await connection.call("Send", JSON.stringify({ from: "anyone", to: "anyone" }));
  connection.close();
  return answer;
}

function writeSamples(file: string, { facts, rounds, phaseMs, samples, waiting }: Results): void {
  const phases = Array.from(samples, ([{ name }, taken]) => ({ name, samples: taken }));
  writeFileSync(file, `${JSON.stringify({ facts, rounds, phaseMs, phases, waiting }, undefined, 2)}\n`);
}

async function main(): Promise<void> {
  let options: Options | undefined;
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    process.exit(EXIT_USAGE);
  }
  if (options === undefined) return void process.stdout.write(HELP);
  const progress = new Progress();
  const results = await measure(options, progress).finally(async () => {
    progress.done();
    // Should a server have failed, its connections end first; what it has to say comes a moment later.
    await sleep(LAST_WORDS_MS);
  });
  process.stdout.write(`${report(results)}\n`);
  if (options.json !== undefined) writeSamples(options.json, results);
}

await main();
// Connections and timers may still be open; an output that is a pipe is not: writes to it are synchronous here.
process.exit();
