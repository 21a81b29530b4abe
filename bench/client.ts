/**
 * `npm run bench:client`: what gathering is worth. The same callers send through BusClient, gathered, and through the
 * generated client, each message a call of its own; one after the other in each round, on one bus.
 */
import { tmpdir } from "node:os";
import { BusClient } from "#dist/client/bus-client.js";
import { connectBus } from "#dist/client/connect-bus.js";
import { alignTable } from "./align-table.ts";
import { milliseconds, rate } from "./figures.ts";
import { RECIPIENTS, recipientName, type SendRequest, sendRequest } from "./mail.ts";
import { measureCalls, type Sample } from "./measure-calls.ts";
import { type Phase, runRounds } from "./phases.ts";
import { startBus } from "./start-servers.ts";
import { median } from "./statistics.ts";
import { Workplace } from "./workplace.ts";

const CALLERS = [1, 64, 256];
const ROUNDS = 3;
const PHASE_MS = 1000;

const bus = await startBus(new Workplace(tmpdir()), "bus");
const address = { urls: [`http://127.0.0.1:${bus.port}`] };
const client = new BusClient({ ...address, outbox: false });
const rpc = connectBus(address);

// As in a fleet: a message to a name that nobody registered costs a look for the name that may have been meant.
for (let i = 0; i < RECIPIENTS; i++) await rpc.registerAgent({ agent: recipientName(i) });

const ways = {
  single: ({ from: sender, to: recipient, ...rest }: SendRequest) => rpc.send({ sender, recipient, ...rest }),
  gathered: (request: SendRequest) => client.send(request),
};

function phaseOf(way: keyof typeof ways, count: number): Phase {
  const callers = Array.from({ length: count }, (_, i) => {
    const next = sendRequest(`sender-${i}`, recipientName);
    return async () => {
      await ways[way](next());
      return 1;
    };
  });
  const run = (ms: number): Promise<Sample> => measureCalls({ callers, callsEach: 1, pid: bus.pid, chores: false }, ms);
  return { name: `${way}, ${count}`, run };
}

const pairs = CALLERS.map((count) => [phaseOf("single", count), phaseOf("gathered", count)] as const);
const samples = await runRounds({ phases: pairs.flat(), rounds: ROUNDS, phaseMs: PHASE_MS, tell: () => {} });
const of = (phase: Phase, figure: (sample: Sample) => number | undefined) =>
  median((samples.get(phase) ?? []).map((sample) => figure(sample) ?? Number.NaN));

const figures = (phase: Phase) => [
  rate(of(phase, (sample) => sample.perSecond)),
  milliseconds(of(phase, (sample) => sample.p50Ms)),
  (of(phase, (sample) => sample.cpu?.totalMs) * 1000).toFixed(0),
];
const heading = ["callers", "single/s", "p50 ms", "bus CPU µs", "gathered/s", "p50 ms", "bus CPU µs", "×"];
const lines = pairs.map(([single, gathered], i) => {
  const times = of(gathered, (sample) => sample.perSecond) / of(single, (sample) => sample.perSecond);
  return [`${CALLERS[i]}`, ...figures(single), ...figures(gathered), times.toFixed(1)];
});
process.stdout.write(`${alignTable([heading, ...lines])}\n`);
await client.close();
await bus.stop();
process.exit();
