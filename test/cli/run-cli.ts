/**
 * Runs the built command line as users do: a process of its own, with an environment that holds nothing of the
 * developer's. What still runs when the test ends is killed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { beforeAll, expect, onTestFinished } from "vitest";
import { type Flags, startBus, type TestBus, temporaryFolder } from "../start-bus.ts";

export const MAIN = new URL("../../dist/cli/main.js", import.meta.url).pathname;
/** Nothing listens there: a port below 1024 is never given out as a free one. */
export const DEAD_URL = "http://127.0.0.1:1";

export interface CliOptions {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** What stdin holds before it ends. Absent: nothing. */
  readonly stdin?: string | Uint8Array;
  /** Leave stdin open, for the test to write to. */
  readonly typing?: boolean;
  /** Goes before the command, such as a shell that redirects: ["sh", "-c", '"$@" >/dev/full', "sh"]. */
  readonly prefix?: readonly string[];
  /** Node's own options. */
  readonly nodeOptions?: readonly string[];
  /** Another node than the one that runs the tests. */
  readonly node?: string;
}

export interface Ended {
  /** Exit code, or the signal that ended it. */
  readonly code: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  readonly process: ChildProcess;
  /** Nothing reads it until `ended` is called. */
  readonly stdout: Readable;
  stderr(): string;
  /** Reads what is left of stdout and waits for the end. */
  ended(): Promise<Ended>;
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** Starts a command and reads none of its output. */
export function startCli(words: readonly string[], options: CliOptions = {}): RunningCli {
  const { env = {}, prefix = [], node = process.execPath, nodeOptions = [], stdin = "" } = options;
  const [command = node, ...rest] = [...prefix, node, ...nodeOptions, MAIN, ...words];
  const child = spawn(command, rest, {
    stdio: ["pipe", "pipe", "pipe"],
    detached: true, // a process group of its own, so that a signal reaches the command behind a prefix too
    // Without an outbox, unless a test names one: the developer's own is not for tests.
    env: { PATH: process.env["PATH"], AGENTBUS_OUTBOX: "off", ...env },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  child.stdin.on("error", () => {}); // a command need not read it
  if (!options.typing) child.stdin.end(stdin);
  const exited = once(child, "exit");
  const closed = once(child.stderr, "close");
  const kill = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid as number), signal);
    await exited;
  };
  onTestFinished(() => kill("SIGKILL"));
  return {
    process: child,
    stdout: child.stdout,
    stderr: () => stderr,
    kill,
    ended: async () => {
      const chunks: Buffer[] = [];
      child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
      child.stdout.resume();
      await Promise.all([exited, closed, child.stdout.closed ? undefined : once(child.stdout, "close")]);
      return { code: child.exitCode ?? child.signalCode, stdout: Buffer.concat(chunks).toString(), stderr };
    },
  };
}

/** Runs a command to its end. */
export function cli(words: readonly string[], options: CliOptions = {}): Promise<Ended> {
  return startCli(words, options).ended();
}

/** The command line of an agent that knows its bus and its name by the environment. */
export function cliOf(bus: Pick<TestBus, "url">, agent: string) {
  return (words: readonly string[], options: CliOptions = {}) =>
    cli(words, { ...options, env: { AGENTBUS_URL: bus.url, AGENTBUS_AGENT: agent, ...options.env } });
}

/** The one JSON document that `--json` puts on stdout. */
export function documentOf({ stdout }: Ended): any {
  expect(stdout).toMatch(/^\{.*\}\n$/); // one line, so nothing else stands beside it
  return JSON.parse(stdout);
}

/** Node's options for code that runs before the program does. */
export function preload(code: string): string[] {
  return ["--import", `data:text/javascript,${encodeURIComponent(code)}`];
}

/** Waits for something that another process brings about. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Ids of what waits in an inbox, oldest first; changes nothing. */
export async function unread(bus: TestBus, agent: string): Promise<string[]> {
  const { messages } = await bus.ok("PullInbox", { agent, maxMessages: 1000, maxBytes: 3_145_728, maxBodyBytes: 1 });
  return messages.map(({ id }: { id: string }) => id);
}

/** Stores a message and gives its id. */
export async function mail(bus: TestBus, to: string, body: string, subject = "Task"): Promise<string> {
  const { id } = await bus.ok("Send", { from: "joe", to, subject, body });
  return id;
}

/** One bus for all tests of a file whose agents have names of their own: starting one takes as long as a command. */
export function sharedBus(flags: Flags = {}): () => TestBus {
  let bus: TestBus;
  beforeAll(async () => {
    const ends: (() => void | Promise<void>)[] = [];
    const atEnd = (free: () => void | Promise<void>) => void ends.unshift(free);
    bus = await startBus(flags, temporaryFolder(atEnd), atEnd);
    return async () => {
      for (const free of ends) await free();
    };
  });
  return () => bus;
}

let names = 0;

/** Such as "jack-7": a name that no other test of this file has. */
export function newName(name: string): string {
  names++;
  return `${name}-${names}`;
}
