/**
 * Runs the official Connect conformance suite against the bus's transport: `npm run test:conformance`. It installs the
 * suite by `go install` if it is not there, and generates code for its .proto. Exit code 1 when a case failed.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const HERE = join(ROOT, "test", "conformance");
const VERSION = "v1.0.7";
const MODULE = `connectrpc.com/conformance`;
/** So long a pass takes at most: a case that hangs would hold it for ever. */
const PASS_MS = 5 * 60_000;

/**
 * Servers and calls under way at once; the suite's own defaults are four and eight. Its cases have deadlines of two seconds,
 * of which the server may lose a quarter: on a busy machine more calls than that would wait for each other.
 */
const AT_ONCE = ["--max-servers", "2", "--parallel", "2"];

/** `cases`: only those; all of them otherwise. */
interface Pass {
  readonly name: string;
  readonly receiveLimit: boolean;
  readonly cases: readonly string[];
}

const PASSES: readonly Pass[] = [
  { name: "all", receiveLimit: false, cases: [] },
  {
    name: "message size of unary calls",
    receiveLimit: true,
    cases: ["CONNECT", "GRPC"].map((protocol) => `Server Message Size/**/Protocol:PROTOCOL_${protocol}/**/unary/**`),
  },
];

function go(...words: string[]): string {
  try {
    return execFileSync("go", words, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }).trim();
  } catch (cause) {
    throw new Error("the suite is written in Go: install Go 1.24 or newer (https://go.dev/dl), and try again", {
      cause,
    });
  }
}

function install(folder: string): string {
  process.stdout.write(`installing ${MODULE} ${VERSION} by go install …\n`);
  const suite = join(folder, "connectconformance");
  execFileSync("go", ["install", `${MODULE}/cmd/connectconformance@${VERSION}`], {
    env: { ...process.env, GOBIN: folder },
    stdio: "inherit",
  });
  return suite;
}

/** The module cache is read-only and not a buf workspace: generated from a copy. */
function generate(folder: string): void {
  const source = join(go("env", "GOMODCACHE"), `${MODULE}@${VERSION}`, "proto");
  const copy = join(folder, "proto");
  cpSync(source, copy, { recursive: true, filter: (path) => !path.endsWith("buf.yaml") });
  execFileSync("chmod", ["-R", "u+w", copy]);
  execFileSync("buf", ["generate", copy, "--template", join(HERE, "buf.gen.yaml")], { cwd: ROOT, stdio: "inherit" });
}

/** Resolves to whether all cases passed. */
function run(suite: string, folder: string, { name, receiveLimit, cases }: Pass): boolean {
  const config = join(folder, "conformance.yaml");
  const template = readFileSync(join(HERE, "conformance.yaml"), "utf8");
  writeFileSync(config, template.replace("RECEIVE_LIMIT", String(receiveLimit)));
  const only = cases.flatMap((pattern) => ["--run", pattern]);
  const server = [process.execPath, join(HERE, "conformance-server.ts")];
  const began = performance.now();
  const words = ["--mode", "server", "--conf", config, ...AT_ONCE, ...only, "--", ...server];
  const { stdout, stderr, status } = spawnSync(suite, words, { encoding: "utf8", maxBuffer: 1e9, timeout: PASS_MS });
  const output = `${stdout}${stderr}`;
  const [, total = "0"] = /Total cases: (\d+)/.exec(output) ?? [];
  const [, passed = "0", failed = "?"] = /(\d+) passed, (\d+) failed/.exec(output) ?? [];
  const seconds = Math.round((performance.now() - began) / 1000);
  process.stdout.write(`conformance, ${name}: ${total} cases, ${passed} passed, ${failed} failed, ${seconds} s\n`);
  if (status !== 0) process.stdout.write(`${output.slice(-20_000)}\n`);
  return status === 0 && Number(total) > 0 && failed === "0";
}

const folder = mkdtempSync(join(tmpdir(), "agentbus-conformance-"));
try {
  process.stdout.write(`${go("version")}\n`);
  const installed = process.env["CONNECTCONFORMANCE"];
  const suite = installed !== undefined && existsSync(installed) ? installed : install(folder);
  generate(folder);
  execFileSync("tsc", ["-p", HERE], { cwd: ROOT, stdio: "inherit" });
  const passed = PASSES.map((pass) => run(suite, folder, pass));
  process.exitCode = passed.every(Boolean) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
