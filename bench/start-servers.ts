/**
 * Starts the servers that are measured, each in a process of its own: a bus as users start it, and the bare HTTP server.
 */
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Workplace } from "./workplace.ts";

export interface Server {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

const START_MS = 15_000;
/** Kept of what a server writes on stderr. */
const LOG_CHARACTERS = 10_000;
/** What users start, in a built package. */
export const MAIN = "dist/cli/main.js";
const PACKAGE = dirname(import.meta.dirname);
const BARE_SERVER = join(import.meta.dirname, "bare-server.ts");

/** A bus on a new database, without a rate limit; `from`: the folder of another build. */
export function startBus(workplace: Workplace, name: string, from = PACKAGE): Promise<Server> {
  const store = `sqlite:${join(workplace.newFolder(name), "bus.db")}`;
  return start(workplace, [
    join(from, MAIN),
    "serve",
    "--port",
    "0",
    "--rate-limit",
    "off",
    "--store",
    store,
    "--json",
  ]);
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
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => {
    if (log.length < LOG_CHARACTERS) log += chunk.toString();
  });
  let stopping = false;
  const ended = new Promise<void>((resolve) => {
    child.once("close", (code, signal) => {
      resolve();
      if (!stopping) process.stderr.write(`\n${args[0]} ended by itself (${code ?? signal}):\n${log}`);
    });
  });
  const url = await Promise.race([
    urlOf(child.stdout),
    ended.then(() => undefined),
    sleep(START_MS, undefined, { ref: false }),
  ]);
  if (url === undefined) throw new Error(`${args[0]} does not listen`);
  return {
    port: Number(new URL(url).port),
    pid: child.pid as number,
    stop: () => {
      stopping = true;
      child.kill("SIGTERM");
      return ended;
    },
  };
}

function urlOf(stdout: Readable): Promise<string> {
  return new Promise((resolve) => {
    let out = "";
    stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      const url = /"url": *"([^"]+)"/.exec(out)?.[1];
      if (url !== undefined) resolve(url);
    });
  });
}
