/** How `agentbus work` ends COMMAND: when it takes too long, when its lease is lost, and when the worker is told to stop. */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../start-bus.ts";
import { mail, newName, type RunningCli, sharedBus, until } from "./run-cli.ts";
import { deliveryOf, isRunning, startWorker } from "./worker.ts";

const shared = sharedBus();

/** A worker whose COMMAND runs, and started a process of its own; ids of both. `ready` is said once that is so. */
async function running(words: readonly string[], shell: (folder: string) => string) {
  const [name, folder] = [newName("jack"), temporaryFolder()];
  const id = await mail(shared(), name, "x");
  const worker = startWorker(shared(), name, words, shell(folder));
  const pids = () => readFileSync(`${folder}/pids`, "utf8").trim().split(/\s+/).map(Number);
  await until("COMMAND to run", () => existsSync(`${folder}/pids`) && pids().length === 2);
  return { worker, name, id, folder, pids: pids() };
}

/** A shell with a child, both of which end with SIGTERM. */
const family = (folder: string) => `sleep 60 & echo $$ $! > ${folder}/part; mv ${folder}/part ${folder}/pids; wait`;
/** The same, which don't. */
const stubborn = (folder: string) => `trap "" TERM; ${family(folder)}; wait; sleep 60`;

/** A shell that ends by itself, a second after it began. */
const finishing = (folder: string) =>
  `sleep 60 & echo $$ $! > ${folder}/part; mv ${folder}/part ${folder}/pids; sleep 1; touch ${folder}/end; kill $!`;

const gone = (pids: readonly number[], withinMs?: number) =>
  until("COMMAND and its child to be gone", () => !pids.some(isRunning), withinMs);

describe("COMMAND is ended, with all that it started,", () => {
  test("after --timeout, and its message comes again", async () => {
    const { worker, name, id, pids } = await running(["--timeout", "1s"], family);
    await until("the time to be over", () => worker.stderr().includes("longer than --timeout"));
    await gone(pids);
    expect(worker.stderr()).toMatch(
      `failed ${id} from joe, attempt 1: it ran longer than --timeout and was stopped after `,
    );
    await until("the message", async () => (await deliveryOf(shared(), name, id))[1] === 2);
  });

  test("by SIGKILL when it does not mind SIGTERM", async () => {
    const { worker, pids } = await running(["--timeout", "1s"], stubborn);
    await until("the time to be over", () => worker.stderr().includes("longer than --timeout"), 20_000);
    await gone(pids);
  });

  test("when another worker has its message", async () => {
    const { worker, name, id, pids } = await running(["--lease", "2"], family);
    // Whoever acks it without the lease takes it out of the worker's hands.
    await shared().ok("Ack", { agent: name, messageIds: [id] });
    await gone(pids);
    await until("the loss to be told", () => worker.stderr().includes("is lost"));
    expect(worker.stderr()).toMatch(new RegExp(`^lease of ${id}: the lease of message ${id} is lost: .*STALE_LEASE`));
    expect(worker.stderr()).not.toContain("failed");
  });
});

describe("a worker that is told to stop", () => {
  /** Ended by now or soon, with this code or signal. */
  const endOf = async (worker: RunningCli) => (await worker.ended()).code;

  test("at once when nothing runs, and says so", async () => {
    const name = newName("jack");
    const worker = startWorker(shared(), name, [], "true");
    const registered = async () => (await shared().ok("ListAgents", { query: name })).agents.length === 1;
    await until("the worker", registered);
    worker.process.kill("SIGTERM");
    expect(await worker.ended()).toEqual({ code: 0, stdout: "", stderr: "stopping: nothing runs\n" });
  });

  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
    "by %s finishes what runs, begins nothing more and ends with 0",
    async (signal) => {
      const { worker, name, id, folder } = await running([], finishing);
      const second = await mail(shared(), name, "y");
      worker.process.kill(signal);
      expect(await endOf(worker)).toBe(0);
      expect(existsSync(`${folder}/end`)).toBe(true);
      expect(worker.stderr()).toMatch(/^stopping: waits up to 20 s for what runs; a second signal kills it\ndone /);
      expect(await deliveryOf(shared(), name, id)).toEqual(["READ", 1]);
      expect(await deliveryOf(shared(), name, second)).toEqual(["UNREAD", 0]);
    },
  );

  test("ends at once where nothing runs", async () => {
    const name = newName("jack");
    const worker = startWorker(shared(), name, [], "true");
    await until("the worker", async () => (await shared().ok("ListAgents", { query: name })).agents.length === 1);
    const began = performance.now();
    worker.process.kill("SIGTERM");
    expect(await endOf(worker)).toBe(0);
    expect(performance.now() - began).toBeLessThan(5000);
  });

  test("ends COMMAND once --grace is over; the message comes again", async () => {
    const { worker, name, id, pids } = await running(["--grace", "1s"], family);
    worker.process.kill("SIGTERM");
    expect(await endOf(worker)).toBe(0);
    await gone(pids);
    expect(worker.stderr()).toMatch(`failed ${id} from joe, attempt 1: the worker was told to stop`);
    await until("the message", async () => (await deliveryOf(shared(), name, id))[0] === "UNREAD");
  });

  test("by a second signal is gone at once, with COMMAND; the message comes again when its lease is over", async () => {
    const { worker, name, id, pids } = await running(["--lease", "2"], stubborn);
    worker.process.kill("SIGINT");
    await until("the first signal", () => worker.stderr().includes("stopping"));
    worker.process.kill("SIGTERM");
    expect(await endOf(worker)).toBe("SIGTERM");
    await gone(pids, 2000);
    await until("the message", async () => (await deliveryOf(shared(), name, id))[0] === "UNREAD");
  });
});

test("many commands at once are no reason for a warning", async () => {
  const name = newName("jack");
  for (let n = 0; n < 16; n++) await mail(shared(), name, "x");
  const ended = await startWorker(shared(), name, ["--once", "--concurrency", "16"], "sleep 1").ended();
  expect(ended.code).toBe(0);
  expect(ended.stderr).toMatch(/^(done .*\n){16}$/);
});
