/** Keeps the runs that a failure was found in, for no two runs of a bus are alike: AGENTBUS_RECORDING names their folder. */
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Runs } from "./recording.ts";

const INDEX = "runs.json";

/** Resolves to the folder, which nobody removes. */
export function keepRuns({ disk, runs }: Runs): string {
  const folder = mkdtempSync(join(tmpdir(), "agentbus-recording-"));
  const kept = runs.map(({ trace, conversations }, n) => {
    cpSync(trace, join(folder, `trace-${n}`));
    return { trace: join(folder, `trace-${n}`), conversations };
  });
  writeFileSync(join(folder, INDEX), JSON.stringify({ disk, runs: kept } satisfies Runs));
  return folder;
}

/** undefined: none were asked for. */
export function keptRuns(): Runs | undefined {
  const folder = process.env["AGENTBUS_RECORDING"];
  return folder ? JSON.parse(readFileSync(join(folder, INDEX), "utf8")) : undefined;
}
