/** Runs one property of fast-check in lanes side by side, and says how to see a failure again. */
import fc from "fast-check";
import { PATH, RUNS, SEED } from "./settings.ts";

/** While one lane waits for a store's thread, the other goes on. */
const LANES = 2;

/**
 * Throws the error of the smallest case found. `laneOf` is called once a lane: each has things of its own.
 * Resolves to the seed.
 */
export async function checkProperty<Case extends [unknown, ...unknown[]]>(
  laneOf: () => fc.IAsyncPropertyWithHooks<Case>,
): Promise<number> {
  const lanes = PATH === undefined ? LANES : 1;
  const runs = Array.from({ length: lanes }, (_, lane) =>
    // Seeds follow each other, so that a lane's own seed, named again, is the first lane's.
    fc.check(laneOf(), {
      seed: SEED + lane,
      numRuns: Math.ceil(RUNS / lanes),
      ...(PATH !== undefined && { path: PATH }),
    }),
  );
  for (const { failed, errorInstance, seed, counterexamplePath, numShrinks } of await Promise.all(runs)) {
    if (!failed) continue;
    const message = errorInstance instanceof Error ? errorInstance.message : String(errorInstance);
    const again = `AGENTBUS_SEED=${seed}/${counterexamplePath}`;
    throw new Error(
      `${message}\nSeen again with ${again} (seed ${seed}, path ${counterexamplePath}, shrunk ${numShrinks} times)`,
    );
  }
  return SEED;
}
