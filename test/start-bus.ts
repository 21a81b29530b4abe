/**
 * Starts real buses for tests, on a free port with a database of their own: in this process, or as a child process that
 * can be killed. Whatever is started is stopped, and its files removed, when the test that started it ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { onTestFinished } from "vitest";
import { startTestBus, type TestBusFlags } from "#dist/testing/start-test-bus.js";
import { MessageBus } from "#gen/agentbus/v1/message_bus_pb.js";

const MAIN = new URL("../dist/cli/main.js", import.meta.url).pathname;
const START_MS = 10_000;

type AtEnd = (free: () => void | Promise<void>) => void;

export type Flags = TestBusFlags;

/** A folder that is gone when the test ends, or whenever `atEnd` says. */
export function temporaryFolder(atEnd: AtEnd = onTestFinished): string {
  const folder = mkdtempSync(join(tmpdir(), "agentbus-test-"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface TestBus {
  readonly url: string;
  readonly port: number;
  readonly folder: string;
  /** Calls a method of MessageBus as curl would. */
  call(method: string, request: object, headers?: Record<string, string>): Promise<JsonResponse>;
  /** Like call(), but throws unless the answer is 200. */
  ok(method: string, request: object): Promise<any>;
  stop(): Promise<void>;
}

export interface JsonResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: any;
}

/** A bus in this process. The rate limit is off unless a flag says otherwise. */
export async function startBus(
  flags: Flags = {},
  folder = temporaryFolder(),
  atEnd: AtEnd = onTestFinished,
): Promise<TestBus> {
  const { url, close } = await startTestBus({ store: `sqlite:${folder}/bus.db`, ...flags });
  atEnd(close);
  return { ...caller(url, flags.token), port: Number(new URL(url).port), folder, stop: close };
}

export interface BusProcess extends TestBus {
  readonly process: ChildProcess;
  /** What it wrote on stderr so far. */
  log(): string;
  /** Resolves when it has ended. */
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** A bus in a process of its own, started from the package's bin, as users do; `prefix` goes before it, such as strace. */
export async function spawnBus(
  flags: Flags = {},
  { folder = temporaryFolder(), port = 0, prefix = [] as string[] } = {},
): Promise<BusProcess> {
  const settings = { store: `sqlite:${folder}/bus.db`, rateLimit: "off", logLevel: "info", ...flags };
  const asFlags = Object.entries(settings).flatMap(([name, value]) => [`--${kebab(name)}`, value]);
  const [command = process.execPath, ...rest] = [...prefix, process.execPath];
  const child = spawn(command, [...rest, MAIN, "serve", "--port", String(port), ...asFlags], {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true, // a process group of its own, so that a signal reaches the bus behind a prefix too
    env: { PATH: process.env["PATH"] },
  });
  let log = "";
  child.stdout.resume();
  child.stderr.on("data", (chunk: Buffer) => {
    log += chunk.toString();
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const kill = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid as number), signal);
    await ended;
  };
  onTestFinished(() => kill("SIGKILL"));
  const deadline = Date.now() + START_MS;
  let url: string | undefined;
  while (url === undefined) {
    url = /"url":"([^"]+)"/.exec(log)?.[1];
    if (url !== undefined) break;
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`the bus did not start: ${log}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return {
    ...caller(url, flags.token),
    port: Number(new URL(url).port),
    folder,
    process: child,
    log: () => log,
    kill,
    stop: () => kill("SIGTERM"),
  };
}

/** A generated client over Connect, as a TypeScript user has one. */
export function clientOf(bus: Pick<TestBus, "url">, token?: string) {
  const headers = token === undefined ? {} : { "x-bus-token": token };
  return createClient(
    MessageBus,
    createConnectTransport({
      baseUrl: bus.url,
      httpVersion: "1.1",
      interceptors: [
        (next) => (request) => {
          for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
          return next(request);
        },
      ],
    }),
  );
}

function caller(url: string, token: string | undefined): Pick<TestBus, "url" | "call" | "ok"> {
  const call = async (method: string, request: object, headers: Record<string, string> = {}): Promise<JsonResponse> => {
    const response = await fetch(`${url}/agentbus.v1.MessageBus/${method}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(token && { "x-bus-token": token }), ...headers },
      body: JSON.stringify(request),
    });
    return { status: response.status, headers: response.headers, body: await response.json() };
  };
  return {
    url,
    call,
    ok: async (method, request) => {
      const { status, body } = await call(method, request);
      if (status !== 200) throw new Error(`${method} answered ${status}: ${JSON.stringify(body)}`);
      return body;
    },
  };
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
