/** Runs one property of fast-check in lanes side by side, and says how to see a failure again. */
import fc from "fast-check";
import { PATH, RUNS, SEED } from "./settings.ts";

/** While one lane waits for a store's thread, the other goes on. */
const LANES = 2;

/** Throws the error of the smallest case found. `laneOf` is called once a lane: each has things of its own. */
export async function checkProperty<Case>(
  cases: fc.Arbitrary<Case>,
  laneOf: () => (one: Case) => Promise<void>,
): Promise<void> {
  const lanes = PATH === undefined ? LANES : 1;
  let failed: number | undefined;
  const runLane = (_: unknown, lane: number) => {
    const check = laneOf();
    const property = fc.asyncProperty(cases, async (one) => {
      // The other lanes need not go on.
      if (failed !== undefined && failed !== lane) return;
      await check(one).catch((error: unknown) => {
        failed ??= lane;
        throw error;
      });
    });
    // Seeds follow each other: a lane's own seed, named again, is that of the first lane.
    const seed = SEED + lane;
    return fc.check(property, { seed, numRuns: Math.ceil(RUNS / lanes), ...(PATH !== undefined && { path: PATH }) });
  };
  for (const run of await Promise.all(Array.from({ length: lanes }, runLane))) {
    if (!run.failed) continue;
    const { errorInstance: error, seed, counterexamplePath: path, numShrinks } = run;
    throw new Error(
      `${error instanceof Error ? error.message : String(error)}\nSeed ${seed}, path ${path}, shrunk ${numShrinks} times. To see it again: AGENTBUS_SEED=${seed}/${path}`,
    );
  }
}
