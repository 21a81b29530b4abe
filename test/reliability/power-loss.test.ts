/**
 * The power is lost at any instant: what was answered before is there, exactly once. All that a real bus wrote and synced
 * was recorded by strace; each cut rebuilds the files as a disk might hold them.
 */
import { describe, expect, test } from "vitest";
import { chanceFrom, programme, report } from "../fixtures/programme.ts";
import { CAN_TRACE } from "../fixtures/strace.ts";
import { temporaryFolder } from "../start-bus.ts";
import { type Chance, chanceOf } from "../wire/seeded-chance.ts";
import { fastFolder } from "./fast-folder.ts";
import { converse } from "./power-loss/clients.ts";
import { keepRuns, keptRuns } from "./power-loss/kept-runs.ts";
import { checkRecording, cutsOf, losePower } from "./power-loss/lose-power.ts";
import { type Runs, recordingOf } from "./power-loss/recording.ts";
import { startTracedBus } from "./power-loss/traced-bus.ts";
import { IS_LONG, SEED } from "./settings.ts";

const CUTS = IS_LONG ? 10_000 : 200;
const AGENTS = ["ann", "bob", "cy", "dan", "eve", "fay"];
/** Enough for some checkpoints, each after a thousand pages. */
const CALLS = IS_LONG ? 150 : 60;

async function record(chance: Chance): Promise<Runs> {
  const disk = temporaryFolder();
  const bus = await startTracedBus(disk, "bus");
  const conversations = await Promise.all(
    AGENTS.map((agent) => converse(bus.port, agent, AGENTS, CALLS, chanceFrom(chance))),
  );
  await bus.stop();
  for (const { refusals } of conversations) expect(refusals.size).toBe(0);
  return { disk, runs: [{ trace: bus.trace, conversations }] };
}

describe.skipIf(!CAN_TRACE)("a power loss at any instant", () => {
  test(
    `leaves a sound database with all that was answered, at ${CUTS} points of a recorded run`,
    { timeout: 3_600_000 },
    () =>
      programme(async (chance) => {
        const kept = keptRuns();
        const runs = kept ?? (await record(chance));
        const recording = recordingOf(runs);
        const { calls, promised } = recording;
        if (kept === undefined) checkRecording(recording);
        const databaseSyncs = calls.filter((call) => call.kind === "sync" && call.path.endsWith(".db")).length;
        expect(databaseSyncs, "checkpoints were recorded").toBeGreaterThan(2);
        const fault = await losePower(recording, cutsOf(recording, CUTS, chanceOf(SEED)), fastFolder());
        report("power loss", {
          points: CUTS,
          "recorded calls": calls.length,
          syncs: calls.filter(({ kind }) => kind === "sync").length,
          "syncs of the database file": databaseSyncs,
          promises: [...promised.values()].flat().length,
          "points with a fault": fault === undefined ? 0 : "1 or more",
        });
        if (fault !== undefined)
          throw new Error(`${fault}\n(AGENTBUS_RECORDING=${keepRuns(runs)} judges the same run again)`);
      }),
  );
});
