/**
 * Makes a client as a stranger would: in a copy of its folder, by the commands of its README, from the package as npm packs
 * it. It knows no language.
 */
import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const EXAMPLES = "examples/clients";
/** Ignored by git; inside of the repository, so that `npx buf` is the one of `npm ci`. */
const CACHE = join(ROOT, ".cache/clients");
/** What is worth keeping from one making to the next: downloads and compiled dependencies. */
const KEPT = [".venv", "bin", "node_modules", "target"];
const MAKE_MS = 10 * 60_000;

export interface Made {
  readonly folder: string;
  /** The command that runs it. */
  readonly run: string;
  /** Milliseconds; undefined: it was there, made from the same files. */
  readonly ms: number | undefined;
}

/** The package as others get it; its folder. */
export function packPackage(): string {
  const folder = join(CACHE, "package");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(CACHE, { recursive: true });
  const words = ["pack", "--ignore-scripts", "--silent", "--pack-destination", CACHE];
  const file = execFileSync("npm", words, { cwd: ROOT, encoding: "utf8" }).trim();
  execFileSync("tar", ["-xzf", join(CACHE, file), "-C", CACHE]);
  rmSync(join(CACHE, file));
  return folder;
}

/** Throws an Error that ends with what the commands printed last. */
export async function makeClient(name: string, agentbus: string): Promise<Made> {
  const source = join(ROOT, EXAMPLES, name);
  const folder = join(CACHE, name);
  const files = sourceFiles(source);
  const { make, run } = commandsIn(readFileSync(join(source, "README.md"), "utf8"));
  const stamp = join(folder, ".made");
  const digest = digestOf([...files.map((file) => join(source, file)), ...protoFiles(agentbus)]);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return { folder, run, ms: undefined };
  mkdirSync(folder, { recursive: true });
  for (const old of readdirSync(folder)) if (!KEPT.includes(old)) rmSync(join(folder, old), { recursive: true });
  for (const file of files) cpSync(join(source, file), join(folder, file));
  // The template that a stranger has is that of the package.
  const template = join(EXAMPLES, name, "buf.gen.yaml");
  if (existsSync(join(ROOT, template))) cpSync(join(agentbus, template), join(folder, "buf.gen.yaml"));
  const began = performance.now();
  await runToEnd(make, folder, agentbus);
  writeFileSync(stamp, digest);
  return { folder, run, ms: performance.now() - began };
}

/** The README's first block makes it, the second one runs it. */
function commandsIn(readme: string): { make: string; run: string } {
  const [make, run] = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block as string);
  if (make === undefined || run === undefined) throw new Error("its README lacks the block that makes it or runs it");
  return { make, run };
}

async function runToEnd(commands: string, folder: string, agentbus: string): Promise<void> {
  const options = { cwd: folder, env: { ...process.env, AGENTBUS: agentbus }, timeout: MAKE_MS, maxBuffer: 1e8 };
  try {
    await promisify(execFile)("bash", ["-euo", "pipefail", "-c", commands], options);
  } catch (cause) {
    const { stdout = "", stderr = "" } = cause as { stdout?: string; stderr?: string };
    throw new Error(`its README's commands failed:\n${tail(`${stdout}${stderr}`)}`, { cause });
  }
}

/** What belongs to the source, by git's word; not what was made there by hand. */
function sourceFiles(folder: string): string[] {
  const words = ["ls-files", "--cached", "--others", "--exclude-standard"];
  const listed = execFileSync("git", words, { cwd: folder, encoding: "utf8" }).split("\n");
  return listed.filter((file) => file !== "" && existsSync(join(folder, file))).sort();
}

function protoFiles(agentbus: string): string[] {
  return ["proto", "third_party"].flatMap((folder) =>
    readdirSync(join(agentbus, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".proto"))
      .sort()
      .map((file) => join(agentbus, folder, file)),
  );
}

function digestOf(paths: readonly string[]): string {
  const hash = createHash("sha256");
  for (const path of paths) hash.update(`${path.slice(dirname(ROOT).length)}\n`).update(readFileSync(path));
  return hash.digest("hex");
}

export function tail(text: string): string {
  return text.trimEnd().split("\n").slice(-30).join("\n");
}
