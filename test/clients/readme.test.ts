/** What README.md tells users of other languages is what `npm run test:clients` runs, and what the package has. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const EXAMPLES = `${ROOT}examples/clients/`;

const blocksIn = (text: string) => [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = ""]) => block);

/** Where a stranger's package lies, and without what only makes a run quiet or repeatable. */
const plain = (command: string) =>
  command
    .replace(/\$\{AGENTBUS:-(\S+)\}|\$AGENTBUS/g, "node_modules/agentbus")
    .replace(/ (--quiet|--batch-mode|--locked|-Dagentbus=\S+|--template \S+)/g, "");

const commandsOf = (block: string) =>
  block
    .trim()
    .split(/\n| && /)
    .map(plain);

const section = /## From your own language\n([\s\S]*?)\n## /.exec(readFileSync(`${ROOT}README.md`, "utf8"))?.[1] ?? "";
const told = blocksIn(section).flatMap(commandsOf);

test("README.md names only commands that the examples are made with", () => {
  const run = readdirSync(EXAMPLES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => commandsOf(blocksIn(readFileSync(`${EXAMPLES}${name}/README.md`, "utf8"))[0] ?? ""));
  const { dependencies, devDependencies } = JSON.parse(readFileSync(`${EXAMPLES}browser/package.json`, "utf8"));
  const pinned = Object.entries({ ...dependencies, ...devDependencies }).map(([name, version]) => `${name}@${version}`);
  expect(told.length).toBeGreaterThan(12);
  for (const command of told) {
    // Instead of these an example has the files themselves.
    if (command.startsWith("cp node_modules/agentbus/")) continue;
    if (command.startsWith("npm i ")) expect(pinned).toEqual(expect.arrayContaining(command.split(" ").slice(2)));
    else expect(run, command).toContain(command);
  }
});

test("README.md names only files that the package has", () => {
  const words = ["pack", "--dry-run", "--ignore-scripts", "--json"];
  const [{ files }] = JSON.parse(execFileSync("npm", words, { cwd: ROOT, encoding: "utf8", stdio: "pipe" }));
  const packed: string[] = files.map(({ path }: { path: string }) => path);
  const named = [...section.matchAll(/node_modules\/agentbus\/([\w./-]+)/g)].map(([, path = ""]) => path);
  expect(named.length).toBeGreaterThan(8);
  for (const path of named) {
    const folder = path.replace(/\/?$/, "/");
    expect(
      packed.some((file) => file === path || file.startsWith(folder)),
      path,
    ).toBe(true);
  }
});
