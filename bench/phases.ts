/**
 * One thing that is measured again in every round, and how a run goes through all of them in turn: whatever slows this
 * machine down for a while slows them all.
 */
import type { Sample } from "./measure-calls.ts";

export interface Phase {
  readonly name: string;
  /** For about `ms`, or for less when there is no more to do. */
  run(ms: number): Promise<Sample>;
}

export type Samples = ReadonlyMap<Phase, readonly Sample[]>;

export interface RoundsPlan {
  readonly phases: readonly Phase[];
  readonly rounds: number;
  readonly phaseMs: number;
  /** Called before every phase. */
  readonly tell: (what: string) => void;
}

/** Samples of one index belong to one round. */
export async function runRounds({ phases, rounds, phaseMs, tell }: RoundsPlan): Promise<Samples> {
  // Compilers first: what is measured is a server that has run for a while.
  for (const phase of phases) {
    tell(`warming up · ${phase.name}`);
    await phase.run(phaseMs / 4);
  }
  const samples = new Map(phases.map((phase): [Phase, Sample[]] => [phase, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const [phase, taken] of samples) {
      tell(`round ${round} of ${rounds} · ${phase.name}`);
      taken.push(await phase.run(phaseMs));
    }
  }
  return samples;
}
