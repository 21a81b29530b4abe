/**
 * Breaks one line of the built package after the other, in a copy, and runs the test that must fail with it. A test that
 * passes nevertheless proves nothing: its sabotage SURVIVED, and the exit code is 1. `npm run sabotage -- WORD` tries those
 * whose test or name contains WORD.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SABOTAGES, type Sabotage } from "../test/sabotage/sabotages.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const COPIED = [
  "package.json",
  "vitest.config.ts",
  "tsconfig.json",
  "dist",
  "gen",
  "proto",
  "test",
  "README.md",
  "docs",
];

const [word = ""] = process.argv.slice(2);
const chosen = SABOTAGES.filter(({ name, test }) => `${test} ${name}`.includes(word));
if (chosen.length === 0) {
  process.stderr.write(`no sabotage is called "${word}"; see test/sabotage/sabotages.ts\n`);
  process.exit(2);
}
const copy = mkdtempSync(join(tmpdir(), "agentbus-sabotage-"));
try {
  for (const name of COPIED) cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  const survivors = chosen.filter((one) => survives(one));
  process.stdout.write(`${chosen.length - survivors.length} of ${chosen.length} sabotages were seen\n`);
  process.exitCode = survivors.length > 0 ? 1 : 0;
} finally {
  rmSync(copy, { recursive: true, force: true });
}

function survives({ name, file, from, to, test }: Sabotage): boolean {
  const path = join(copy, "dist", file);
  const sound = readFileSync(path, "utf8");
  if (!sound.includes(from)) throw new Error(`dist/${file} has no "${from}" to break: mend test/sabotage/sabotages.ts`);
  writeFileSync(
    path,
    sound.replace(from, () => to),
  );
  const began = performance.now();
  const { stdout, stderr } = spawnSync("npx", ["vitest", "run", `test/${test}.test.ts`], {
    cwd: copy,
    encoding: "utf8",
    maxBuffer: 1e9,
  });
  writeFileSync(path, sound);
  const seconds = Math.round((performance.now() - began) / 1000);
  // A test that failed, not a file that could not even be loaded.
  const seen = /^ *× .*$/m.test(plain(stdout));
  const [, why = ""] = /Error[^:]{0,20}: (.{0,140})/.exec(plain(stderr)) ?? [];
  process.stdout.write(`${test} · ${name} · ${seconds} s · ${seen ? `seen: ${why}` : "SURVIVED"}\n`);
  return !seen;
}

/** Without colours. */
function plain(text: string): string {
  return text.replaceAll(new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g"), "");
}
