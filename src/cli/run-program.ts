/**
 * Runs one program to its end: text on its stdin, a time limit, and an end that reaches whatever it started. It must not
 * know messages or the bus.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { usageFailure } from "./failure.ts";

/** Between asking a program to end and ending it. */
const KILL_AFTER_MS = 5000;
const CHECK_MS = 20;
/** What it left behind may hold its stdout open for ever. */
const LAST_OUTPUT_MS = 1000;

export interface Run {
  readonly stdin: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where its stdout goes: one of our own file descriptors, or so many bytes at most to the caller. */
  readonly stdout: { readonly descriptor: 1 | 2 } | { readonly maxBytes: number };
  /** Milliseconds; undefined: as long as it takes. */
  readonly timeoutMs?: number | undefined;
  /** Ends it: SIGTERM, and SIGKILL for what is left after 5 s. Its reason is what is thrown then. */
  readonly end: AbortSignal;
  /** Kills it at once. */
  readonly kill: AbortSignal;
}

/** Ended badly; the message says how. */
export class ProgramError extends Error {}

/** What it wrote on stdout, empty if that was not asked for, once it ended with 0. Throws a ProgramError otherwise. */
export async function runProgram([command = "", ...args]: readonly string[], run: Run): Promise<Buffer> {
  run.end.throwIfAborted();
  const began = performance.now();
  const output = "maxBytes" in run.stdout ? "pipe" : run.stdout.descriptor;
  const child = spawn(command, args, {
    env: run.env as NodeJS.ProcessEnv,
    stdio: ["pipe", output, "inherit"],
    // In a group of its own, so that its end reaches what it started; and a Ctrl-C is ours to pass on.
    detached: true,
  });
  const exited = once(child, "exit") as Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  child.stdin?.on("error", () => {}); // it need not read it
  child.stdin?.end(run.stdin);
  const written = "maxBytes" in run.stdout && child.stdout ? collect(child.stdout, run.stdout.maxBytes) : undefined;

  const { pid } = child;
  let ending: Promise<void> | undefined;
  const end = () => {
    signalGroup(pid, "SIGTERM");
    ending ??= killLeftovers(pid);
  };
  const kill = () => signalGroup(pid, "SIGKILL");
  // Plain listeners and a timer, which leave nothing behind in signals that outlive this program.
  run.end.addEventListener("abort", end);
  run.kill.addEventListener("abort", kill);
  const late = run.timeoutMs === undefined ? undefined : setTimeout(end, run.timeoutMs);
  try {
    const [code, signal] = await exited;
    if (ending !== undefined) {
      await ending;
      run.end.throwIfAborted();
      throw new ProgramError("it ran longer than --timeout and was stopped");
    }
    if (code !== 0) throw new ProgramError(code === null ? `it was killed by ${signal}` : `it ended with ${code}`);
    return (await written?.whole()) ?? Buffer.alloc(0);
  } catch (error) {
    throw error instanceof ProgramError ? new ProgramError(`${error.message} after ${secondsSince(began)}`) : error;
  } finally {
    clearTimeout(late);
    run.end.removeEventListener("abort", end);
    run.kill.removeEventListener("abort", kill);
    child.stdout?.destroy();
  }
}

/** Waits for all of the group to end, its leader being asked to already; and no longer than it may. */
async function killLeftovers(pid: number | undefined): Promise<void> {
  const end = performance.now() + KILL_AFTER_MS;
  while (signalGroup(pid, 0)) {
    if (performance.now() > end) {
      signalGroup(pid, "SIGKILL");
      return;
    }
    await delay(CHECK_MS);
  }
}

/** False: nobody is left in it. */
function signalGroup(pid: number | undefined, signal: NodeJS.Signals | 0): boolean {
  if (pid === undefined) return false;
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}

function collect(stream: NodeJS.ReadableStream, maxBytes: number): { whole(): Promise<Buffer> } {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size <= maxBytes) chunks.push(chunk);
  });
  const closed = new Promise<void>((resolve) => void stream.once("close", resolve));
  return {
    whole: async () => {
      await Promise.race([closed, delay(LAST_OUTPUT_MS, undefined, { ref: false })]);
      if (size > maxBytes) throw new ProgramError(`it printed ${size} bytes, and a reply has at most ${maxBytes}`);
      return Buffer.concat(chunks);
    },
  };
}

/** Told before any message is taken for it. Throws a usage failure. */
export function requireProgram(command: string, path = process.env["PATH"] ?? ""): void {
  const places = command.includes("/") ? [command] : path.split(delimiter).map((folder) => join(folder, command));
  if (!places.some(isProgram)) {
    const shell = /\s/.test(command) ? `; it runs without a shell: for a line of one, -- sh -c '${command}'` : "";
    throw usageFailure(`there is no program "${command}" that could be run${shell}`);
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

export function secondsSince(began: number): string {
  return `${((performance.now() - began) / 1000).toFixed(1)} s`;
}
