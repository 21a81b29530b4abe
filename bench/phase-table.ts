/**
 * The table of all phases: medians over the rounds, and how far each is from the limits that were measured beside it.
 */
import { alignTable } from "./align-table.ts";
import { type BusPhases, SENDERS, WORKERS } from "./bus-phases.ts";
import { milliseconds, rate } from "./figures.ts";
import type { Sample } from "./measure-calls.ts";
import type { Phase, Samples } from "./phases.ts";
import type { RawInserts } from "./raw-inserts.ts";
import { median } from "./statistics.ts";

export interface Measured {
  readonly samples: Samples;
  readonly bus: BusPhases;
  /** Another build. */
  readonly other: BusPhases | undefined;
  /** One for each number of SENDERS. */
  readonly bare: readonly Phase[];
  readonly raw: RawInserts;
}

interface Row {
  readonly phase: Phase;
  /** The bare server under as many connections: calls are compared. */
  readonly http?: Phase | undefined;
  /** It stores: messages are compared with raw inserts. */
  readonly stores?: boolean;
  readonly other?: Phase | undefined;
}

export function phaseTable(measured: Measured): string {
  const { samples, bus, other, bare, raw } = measured;
  const rows: Row[] = [
    ...busRows(bus, bare, other),
    ...(other ? busRows(other, bare) : []),
    ...[...bare, raw.oneByOne, raw.inHundreds].map((phase) => ({ phase })),
  ];
  const of = (phase: Phase | undefined) => (phase && samples.get(phase)) ?? [];
  const lines = rows.map((row) => {
    const taken = of(row.phase);
    const ratios = [
      ratio(taken, of(row.http), ({ callsPerSecond }) => callsPerSecond),
      ratio(taken, row.stores ? of(raw.oneByOne) : [], ({ perSecond }) => perSecond),
      ratio(taken, row.stores ? of(raw.inHundreds) : [], ({ perSecond }) => perSecond),
      ratio(taken, of(row.other), ({ perSecond }) => perSecond),
    ];
    return [row.phase.name, ...speed(taken), ...ratios].slice(0, other ? undefined : -1);
  });
  const speeds = ["messages/s", "min–max", "calls/s", "p50 ms", "p99 ms", "server CPU µs"];
  return alignTable([
    ["", ...speeds, "× bare HTTP", "× raw, 1", "× raw, 100", ...(other ? ["× other"] : [])],
    ...lines,
  ]);
}

function busRows(bus: BusPhases, bare: readonly Phase[], other?: BusPhases): Row[] {
  return [
    ...bus.sends.map((phase, i): Row => ({ phase, http: bare[i], stores: true, other: other?.sends[i] })),
    { phase: bus.batches, stores: true, other: other?.batches },
    { phase: bus.leases, http: bare[SENDERS.indexOf(WORKERS)], other: other?.leases },
  ];
}

function speed(taken: readonly Sample[]): string[] {
  const rates = taken.map(({ perSecond }) => perSecond);
  const middle = (pick: (sample: Sample) => number | undefined, form: (value: number) => string) => {
    const known = taken.map(pick).filter((value) => value !== undefined);
    return known.length === 0 ? "" : form(median(known));
  };
  return [
    rate(median(rates)),
    `${rate(Math.min(...rates))}–${rate(Math.max(...rates))}`,
    middle(({ callsPerSecond }) => callsPerSecond, rate),
    middle(({ p50Ms }) => p50Ms, milliseconds),
    middle(({ p99Ms }) => p99Ms, milliseconds),
    middle(
      ({ cpu }) => cpu && cpu.totalMs * 1000,
      (value) => value.toFixed(0),
    ),
  ];
}

/** The median of the rounds' own ratios: what slowed a whole round down cancels out. */
function ratio(taken: readonly Sample[], limit: readonly Sample[], of: (sample: Sample) => number): string {
  if (limit.length === 0) return "";
  return median(taken.map((sample, round) => of(sample) / of(limit[round] as Sample))).toFixed(2);
}
