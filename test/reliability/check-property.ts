/** Checks one property on many random sequences of steps, in lanes side by side, and says how to see a failure again. */
import fc from "fast-check";
import { PATH, RUNS, SEED } from "./settings.ts";

/** While one lane waits for a store's thread, the other goes on. */
const LANES = 2;

/**
 * Throws the error of a sequence from which no single step can be left out. `laneOf` is called once a lane: each has
 * things of its own.
 */
export async function checkProperty<Case extends { readonly steps: readonly unknown[] }>(
  cases: fc.Arbitrary<Case>,
  laneOf: () => (one: Case) => Promise<void>,
): Promise<void> {
  const lanes = PATH === undefined ? LANES : 1;
  let failed = false;
  const runLane = async (_: unknown, lane: number) => {
    const check = laneOf();
    const property = fc.asyncProperty(cases, async (one) => {
      // When one lane has failed, the others need not go on.
      if (!failed) await check(one);
    });
    // Seeds follow each other: a lane's own seed, named again, is that of the first lane.
    const seed = SEED + lane;
    const run = await fc.check(property, {
      seed,
      numRuns: Math.ceil(RUNS / lanes),
      // Steps are left out below: that takes fewer runs than to make values smaller, and reads as well.
      endOnFailure: true,
      ...(PATH !== undefined && { path: PATH }),
    });
    if (!run.failed) return;
    failed = true;
    const error = run.counterexample === null ? run.errorInstance : await smallest(run.counterexample[0], check);
    const again = `AGENTBUS_SEED=${seed}/${run.counterexamplePath}`;
    throw new Error(`${messageOf(error)}\nSeed ${seed}, path ${run.counterexamplePath}; to see it again: ${again}`);
  };
  const ends = await Promise.allSettled(Array.from({ length: lanes }, runLane));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

/** Leaves out steps as long as it still fails, many at once first. Resolves to the last failure. */
async function smallest<Case extends { readonly steps: readonly unknown[] }>(
  whole: Case,
  check: (one: Case) => Promise<void>,
): Promise<unknown> {
  const failureOf = (one: Case) =>
    check(one).then(
      () => undefined,
      (error: unknown) => error,
    );
  let { steps } = whole;
  let failure = await failureOf(whole);
  if (failure === undefined) return new Error("it failed once, and not when it was tried again");
  for (let chunk = Math.ceil(steps.length / 2); chunk >= 1; ) {
    let smaller = false;
    for (let at = 0; at < steps.length; ) {
      const rest = steps.toSpliced(at, chunk);
      const again = await failureOf({ ...whole, steps: rest });
      if (again === undefined) at += chunk;
      else {
        [steps, failure, smaller] = [rest, again, true];
      }
    }
    // One by one until nothing more can go.
    if (chunk > 1) chunk = Math.ceil(chunk / 2);
    else if (!smaller) break;
  }
  return failure;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
