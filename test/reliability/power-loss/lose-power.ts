/**
 * Loses the power at many points of a recording, and judges each time what the disk holds. The same seed chooses the same
 * points and the same losses.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type Chance, chanceOf } from "../../wire/seeded-chance.ts";
import type { Promised } from "./clients.ts";
import { judge } from "./judge.ts";
import { RecordedDisk } from "./recorded-disk.ts";
import type { Recording } from "./recording.ts";
import { askRestartedBus } from "./restarted-bus.ts";

const RESTART_EVERY = 50;

export interface Cut {
  /** Calls that were made before it. */
  readonly at: number;
  readonly seed: number;
}

/** As many cuts as asked for, in order. Half of them right after an answer: nothing more was promised by then. */
export function cutsOf({ calls, promised }: Recording, count: number, chance: Chance): Cut[] {
  const answers = [...promised].filter(([, what]) => what.length > 0).map(([place]) => place + 1);
  return Array.from({ length: count }, () => ({
    at: chance.next() < 0.5 ? chance.pick(answers) : chance.integer(calls.length + 1),
    seed: chance.integer(2 ** 31),
  })).sort((a, b) => a.at - b.at);
}

/** undefined: nothing is wrong after any of the cuts. Otherwise what is wrong after the first such, in words. */
export async function losePower(
  recording: Recording,
  cuts: readonly Cut[],
  scratch: string,
): Promise<string | undefined> {
  const { calls, asked } = recording;
  const disk = new RecordedDisk();
  const promised: Promised[] = [];
  let at = 0;
  for (const [n, cut] of cuts.entries()) {
    for (const call of calls.slice(at, cut.at)) {
      disk.play(call);
      promised.push(...(recording.promised.get(at++) ?? []));
    }
    const folder = join(scratch, String(n));
    mkdirSync(folder);
    for (const [path, content] of disk.afterPowerLoss(chanceOf(cut.seed))) {
      writeFileSync(join(folder, basename(path)), content);
    }
    const file = join(folder, "bus.db");
    // In the middle of its first start the bus has to be able to start again; later it is asked now and then.
    const faults = promised.length === 0 ? await askRestartedBus(file, promised) : [];
    faults.push(...judge(file, promised, asked));
    if (n % RESTART_EVERY === 0 && faults.length === 0) faults.push(...(await askRestartedBus(file, promised)));
    rmSync(folder, { recursive: true });
    if (faults.length > 0) {
      return `power lost before call ${cut.at} of ${calls.length} (seed ${cut.seed}):\n${faults.slice(0, 10).join("\n")}`;
    }
  }
  return undefined;
}

/** Throws unless the recorded writes, played to their end, give the real files: else the trace was not read right. */
export function checkRecording({ calls }: Recording): void {
  const disk = new RecordedDisk();
  for (const call of calls) disk.play(call);
  for (const [path, content] of disk.seen()) {
    if (!content.equals(readFileSync(path))) throw new Error(`the recording of ${path} is not what the bus wrote`);
  }
}
