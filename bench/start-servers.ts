/**
 * Starts the servers that are measured, each in a process of its own: a bus as users start it, and the bare HTTP server.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import type { Workplace } from "./workplace.ts";

export interface Server {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

const START_MS = 15_000;
const PACKAGE = new URL("..", import.meta.url).pathname;
const BARE_SERVER = new URL("bare-server.ts", import.meta.url).pathname;

/** A bus on a new database, without a rate limit; `from`: the folder of another build. */
export function startBus(workplace: Workplace, name: string, from = PACKAGE): Promise<Server> {
  const store = `sqlite:${join(workplace.newFolder(name), "bus.db")}`;
  const main = join(from, "dist/cli/main.js");
  return start(workplace, [main, "serve", "--port", "0", "--rate-limit", "off", "--store", store, "--json"]);
}

/** Answers every request with this JSON. */
export function startBareServer(workplace: Workplace, answer: string): Promise<Server> {
  return start(workplace, [BARE_SERVER, answer]);
}

/** Whatever it starts writes {"url":…} on stdout once it listens. */
async function start(workplace: Workplace, args: string[]): Promise<Server> {
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"] },
  });
  workplace.keep(child);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = await urlOf(child);
  let expected = false;
  void ended.then(() => {
    if (!expected) process.stderr.write(`\n${args[0]} ended by itself, with ${child.exitCode ?? child.signalCode}\n`);
  });
  return {
    port: Number(new URL(url).port),
    pid: child.pid as number,
    stop: () => {
      expected = true;
      child.kill("SIGTERM");
      return ended;
    },
  };
}

function urlOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let out = "";
    let log = "";
    const fail = (why: string) => reject(new Error(`${child.spawnargs.slice(0, 3).join(" ")} ${why}: ${log}`));
    const late = setTimeout(() => fail(`does not listen after ${START_MS / 1000} s`), START_MS);
    child.once("error", reject);
    child.once("exit", () => fail("ended before it listened"));
    child.stderr?.on("data", (chunk: Buffer) => {
      if (log.length < 10_000) log += chunk.toString();
    });
    child.stdout?.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      const url = /"url": *"([^"]+)"/.exec(out)?.[1];
      if (url === undefined) return;
      clearTimeout(late);
      resolve(url);
    });
  });
}
