/**
 * Runs the quicker tests and reports which branches of the domain and of the store they took, in all processes and
 * threads: `npm run coverage`. Exit code 1 below 95 % in either.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MIN_BRANCHES = 95;
const GROUPS = { "the domain": "src/*.ts", "the store": "src/store/**" };
/** Without the long programmes, which run the same lines again and again. */
const TESTS = [
  "test/store",
  "test/wire",
  "test/cli",
  ...["clock", "config", "group-commit", "request-rules"].map((name) => `test/${name}.test.ts`),
  ...["io-errors", "upgrade", "zombies"].map((name) => `test/reliability/${name}`),
];

function run(command: string, words: readonly string[], env = {}): boolean {
  const { status } = spawnSync(command, words, { stdio: "inherit", env: { ...process.env, ...env } });
  return status === 0;
}

const folder = mkdtempSync(join(tmpdir(), "agentbus-coverage-"));
try {
  const passed = run("vitest", ["run", ...TESTS], { NODE_V8_COVERAGE: folder });
  const reports = Object.entries(GROUPS).map(([name, include]) => {
    process.stdout.write(`\nBranches of ${name}:\n`);
    const limit = ["--check-coverage", "--branches", String(MIN_BRANCHES), "--lines", "0", "--functions", "0"];
    const what = ["--temp-directory", folder, "--exclude-after-remap", "--include", include, "--statements", "0"];
    return run("c8", ["report", "--reporter", "text", ...what, ...limit]);
  });
  process.exitCode = passed && reports.every(Boolean) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
