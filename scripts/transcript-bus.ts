/**
 * Runs the commands that a page shows against a fresh bus, and compares or writes the page. What differs from run to run
 * (ids, times, ports, figures) is compared as such.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = new URL("..", import.meta.url).pathname;
const MAIN = join(ROOT, "dist/cli/main.js");
const SHOWN = "127.0.0.1:8091";
const SLOW_MS = 60_000;

export const ID = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const VARYING: readonly (readonly [RegExp, string])[] = [
  [ID, "ID"],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "TIME"],
  [/\b\d+(?:\.\d+)?( ?)(ms|s|min|h|d|bytes)\b/g, "N$1$2"],
  [/\b127\.0\.0\.1:\d+/g, "ADDRESS"],
  [/\bagentbus_[\w-]{40,}/g, "TOKEN"],
  [/"user":"[^"]*"/g, "USER"],
  [/\b[0-9a-f]{8}\b(?!-)/g, "TOKEN-ID"],
  [/\b\d+\.\d+\.\d+, (linux|darwin|win32) \w+/g, "NODE"],
];

/** Runs one line of shell and gives what it printed on both outputs; one that runs for ever is interrupted at `until`. */
export type Run = (command: string, until?: RegExp) => Promise<string>;

/** `agentbus` in a command is this package's, in a folder and a home of its own; `flags` are the bus's. */
export async function onFreshBus<T>(flags: readonly string[], work: (run: Run) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "agentbus-transcripts-"));
  mkdirSync(join(folder, "bin"));
  const command = join(folder, "bin/agentbus");
  writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
  chmodSync(command, 0o755);
  const bus = spawn(command, ["serve", "--port", "0", "--store", `sqlite:${folder}/bus.db`, ...flags], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  try {
    const address = await addressOf(bus);
    const env = {
      PATH: `${folder}/bin:${process.env["PATH"]}`,
      HOME: folder,
      AGENTBUS_URL: `http://${address}`,
    };
    return await work(async (line, until) => {
      const script = line.replaceAll(SHOWN, address).replaceAll("npx agentbus", "agentbus");
      const printed = await output(
        spawn("bash", ["-c", `exec 2>&1; ${script}`], { env, cwd: folder, detached: true }),
        until,
      );
      const shown = printed
        .replaceAll(address, SHOWN)
        .replaceAll(folder, "~")
        .replace(/"details":\[.*\]/g, '"details":[…]');
      return shown.endsWith("\n") || shown === "" ? shown : `${shown}\n`;
    });
  } finally {
    bus.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

function addressOf(bus: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let log = "";
    bus.stderr?.on("data", (chunk: Buffer) => {
      log += chunk.toString();
      const url = /"url":"http:\/\/([^"]+)"/.exec(log)?.[1];
      if (url !== undefined) resolve(url);
    });
    bus.once("exit", () => reject(new Error(`the bus did not start: ${log}`)));
  });
}

async function output(child: ChildProcess, until: RegExp | undefined): Promise<string> {
  let printed = "";
  // To the whole group, as a terminal's Ctrl-C does: bash alone would leave its children.
  const interrupt = (signal: NodeJS.Signals) => process.kill(-(child.pid as number), signal);
  const slow = setTimeout(() => interrupt("SIGKILL"), SLOW_MS);
  child.stdin?.end();
  child.stdout?.on("data", (chunk: Buffer) => {
    const before = printed;
    printed += chunk.toString();
    if (until?.test(printed) && !until.test(before)) interrupt("SIGINT");
  });
  await once(child, "close");
  clearTimeout(slow);
  return printed;
}

/** Writes a page that changed in more than what varies; with --check only says so, and ends with 1. */
export function settlePage(name: string, after: string): void {
  const page = join(ROOT, name);
  const before = readFileSync(page, { encoding: "utf8", flag: "a+" });
  if (comparable(before) === comparable(after)) return;
  if (process.argv.includes("--check")) {
    process.stderr.write(`${name} shows what is not so; run: npm run docs\n${firstDifference(before, after)}\n`);
    process.exitCode = 1;
  } else {
    writeFileSync(page, after);
  }
}

function comparable(text: string): string {
  return VARYING.reduce((rest, [form, name]) => rest.replace(form, name), text);
}

function firstDifference(shown: string, real: string): string {
  const [a, b] = [comparable(shown).split("\n"), comparable(real).split("\n")];
  const line =
    Math.max(
      a.findIndex((text, i) => text !== b[i]),
      0,
    ) || a.length;
  return `shown: ${a[line]}\nreal:  ${b[line]}`;
}
