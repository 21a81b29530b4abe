/**
 * Syncs fail, the bus goes on or is started again, and then the power is lost. After a failed sync the kernel counts pages
 * as written that no disk has (docs/decisions/0006-failed-sync.md): the recorded disk does the same.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { chanceFrom, programme, report } from "../fixtures/programme.ts";
import { CAN_TRACE } from "../fixtures/strace.ts";
import { temporaryFolder } from "../start-bus.ts";
import { chanceOf } from "../wire/seeded-chance.ts";
import { fastFolder } from "./fast-folder.ts";
import { Conversation, converse } from "./power-loss/clients.ts";
import { keepRuns, keptRuns } from "./power-loss/kept-runs.ts";
import { checkRecording, cutsOf, losePower } from "./power-loss/lose-power.ts";
import { RecordedDisk } from "./power-loss/recorded-disk.ts";
import { type Recording, type Run, type Runs, recordingOf } from "./power-loss/recording.ts";
import { readTrace, stracePrefix } from "./power-loss/trace-reader.ts";
import { startTracedBus } from "./power-loss/traced-bus.ts";
import { IS_LONG, SEED } from "./settings.ts";

const CUTS = IS_LONG ? 2_000 : 60;
const HELD_UP = fileURLToPath(new URL("power-loss/held-up-checkpoint.ts", import.meta.url));
const AGENTS = ["ann", "bob", "cy", "dan", "eve", "fay"];
const CALLS = IS_LONG ? 300 : 40;
const MAX_RESTARTS = 8;

/** Every fourth sync after the start's own fails. */
const SOME_SYNCS_FAIL = ["fsync,fdatasync:error=EIO:when=20+4"];
/** All syncs fail from then on. */
const SYNCS_FAIL_LATER = ["fsync,fdatasync:error=EIO:when=25+"];

async function judge(name: string, record: () => Promise<Runs>, also: (recording: Recording) => object) {
  const kept = keptRuns();
  const runs = kept ?? (await record());
  const recording = recordingOf(runs);
  if (kept === undefined) checkRecording(recording);
  const fault = await losePower(recording, cutsOf(recording, CUTS, chanceOf(SEED)), fastFolder());
  report(name, { points: CUTS, ...also(recording), "points with a fault": fault === undefined ? 0 : "1 or more" });
  if (fault !== undefined)
    throw new Error(`${fault}\n(AGENTBUS_RECORDING=${keepRuns(runs)} judges the same run again)`);
}

function failedSyncs({ calls }: Recording, file: string): number {
  return calls.filter((call) => call.kind === "sync" && !call.ok && call.path.endsWith(file)).length;
}

describe.skipIf(!CAN_TRACE)("a power loss some time after syncs failed", () => {
  test("leaves all that was answered since by the same process", { timeout: 3_600_000 }, () =>
    programme((chance) => {
      const record = async (): Promise<Runs> => {
        const disk = temporaryFolder();
        const bus = await startTracedBus(disk, "bus", SOME_SYNCS_FAIL);
        const conversations = await Promise.all(
          AGENTS.map((agent) => converse(bus.port, agent, AGENTS, CALLS, chanceFrom(chance))),
        );
        await bus.stop();
        return { disk, runs: [{ trace: bus.trace, conversations }] };
      };
      return judge("power loss after failed syncs", record, (recording) => ({
        "failed syncs of the WAL": failedSyncs(recording, "-wal"),
        "failed syncs of the database file": failedSyncs(recording, ".db"),
      }));
    }),
  );

  test("leaves what was moved by a checkpoint that a reader held up, when the sync of the next one failed", () =>
    programme(async (chance) => {
      const disk = temporaryFolder();
      const committed = (name: string, inject: readonly string[] = []) => {
        const trace = join(disk, `${name}.trace`);
        const file = join(disk, `${name}.db`);
        const [strace = "", ...args] = [...stracePrefix(trace, inject), process.execPath, HELD_UP, file];
        const { stdout, stderr } = spawnSync(strace, args, { encoding: "utf8" });
        expect(stdout, stderr).toMatch(/^\d+$/);
        return { rows: Number(stdout), file, calls: readTrace(readFileSync(trace, "latin1"), disk) };
      };
      // The same calls each time: the first run tells which sync is the one of the checkpoint that ends what was begun.
      const { calls, file } = committed("sound");
      const syncs = calls.filter((call) => call.kind === "sync");
      const ending = syncs.findIndex((sync) => sync.path === file && sync !== syncs.find(({ path }) => path === file));
      const failed = committed("failing", [`fsync,fdatasync:error=EIO:when=${ending + 1}`]);
      expect(failed.calls.filter((call) => call.kind === "sync" && !call.ok)).toMatchObject([{ path: failed.file }]);
      const left = new RecordedDisk();
      for (const call of failed.calls) left.play(call);
      const scratch = fastFolder();
      for (const [path, content] of left.afterPowerLoss(chance)) {
        writeFileSync(join(scratch, basename(path)), content);
      }
      const db = new Database(join(scratch, "failing.db"));
      expect(db.pragma("integrity_check", { simple: true })).toBe("ok");
      expect(db.prepare("select count(*) from letters").pluck().get()).toBe(failed.rows);
      db.close();
    }));

  test(
    "leaves what was refused for a failed sync, found again by a restart, and then answered",
    { timeout: 3_600_000 },
    () =>
      programme(() => {
        let found = 0;
        let restarts = 0;
        const record = async (): Promise<Runs> => {
          const disk = temporaryFolder();
          const runs: Run[] = [];
          // Whether a restart finds it is open: another transaction may have taken its place before the crash.
          for (let n = 0; found === 0 && restarts < MAX_RESTARTS; restarts++) {
            const failing = await startTracedBus(disk, `failing-${restarts}`, SYNCS_FAIL_LATER);
            const before = new Conversation(failing.port, "ann");
            await before.register();
            while ((await before.send(n, 100, "bob")) !== undefined) n++;
            await failing.crash();
            const healthy = await startTracedBus(disk, `healthy-${restarts}`);
            const after = new Conversation(healthy.port, "ann");
            await after.register();
            if ((await after.send(n++, 100, "bob"))?.deduplicated) found++;
            for (let more = 0; more < 10; more++) await after.send(n++, 100, "bob");
            await healthy.crash();
            runs.push(
              { trace: failing.trace, conversations: [before] },
              { trace: healthy.trace, conversations: [after] },
            );
          }
          expect(found, "a refused message was found again").toBeGreaterThan(0);
          return { disk, runs };
        };
        return judge("power loss after a refusal and a restart", record, () => ({
          restarts: restarts * 2,
          "refused and found again": found,
        }));
      }),
  );
});
