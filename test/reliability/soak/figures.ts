/** What a bus takes of its machine while it works, sampled, and whether that grows. */
import { statSync } from "node:fs";
import { openDescriptors, residentMemory } from "../../wire/process-figures.ts";

export interface Sample {
  readonly "MiB memory": number;
  readonly descriptors: number;
  readonly "MiB WAL": number;
}

export class Sampler {
  readonly #take: () => Sample;
  readonly #timer: NodeJS.Timeout;
  readonly #samples: Sample[] = [];

  constructor(pid: number, database: string, everyMs: number) {
    this.#take = () => ({
      "MiB memory": residentMemory(pid),
      descriptors: openDescriptors(pid),
      "MiB WAL": statSync(`${database}-wal`).size / 2 ** 20,
    });
    this.#timer = setInterval(() => this.#samples.push(this.#take()), everyMs);
  }

  /** The middle of each figure in the first and in the last third. */
  end(): { first: Sample; last: Sample } {
    clearInterval(this.#timer);
    const third = Math.floor(this.#samples.length / 3);
    if (third < 3) throw new Error(`only ${this.#samples.length} samples`);
    return { first: middle(this.#samples.slice(0, third)), last: middle(this.#samples.slice(-third)) };
  }
}

function middle(samples: readonly Sample[]): Sample {
  const of = (figure: keyof Sample) => {
    const sorted = samples.map((sample) => sample[figure]).sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] as number;
  };
  return { "MiB memory": of("MiB memory"), descriptors: of("descriptors"), "MiB WAL": of("MiB WAL") };
}
