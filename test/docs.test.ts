/** What README.md and docs/cli.md show is what the programs print. */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { environmentName, type SettingName, settings } from "#dist/config.js";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const run = promisify(execFile);
const script = (name: string) =>
  run(process.execPath, [new URL(`../scripts/${name}`, import.meta.url).pathname, "--check"]);

describe("README.md", () => {
  test("has the settings that the program has", async () => {
    await expect(script("write-settings-table.ts")).resolves.toBeDefined();
  });

  test("shows what its commands print on a fresh bus", { timeout: 60_000 }, async () => {
    await expect(script("run-transcripts.ts")).resolves.toBeDefined();
  });
});

describe("docs/operations.md", () => {
  test("has the metrics that the bus has", async () => {
    await expect(script("write-metrics-table.ts")).resolves.toBeDefined();
  });
});

describe("docs/mcp.md", () => {
  const text = readFileSync(new URL("../docs/mcp.md", import.meta.url), "utf8");

  test("has the tools that the program has", async () => {
    await expect(script("write-mcp-tools.ts")).resolves.toBeDefined();
  });

  test("configures hosts with commands, addresses and headers that exist", async () => {
    const blocks = [...text.matchAll(/```json\n([\s\S]*?)```/g)].map(([, json = ""]) => JSON.parse(json));
    const servers = blocks.map(({ mcpServers, servers }) => (mcpServers ?? servers).agentbus);
    expect(servers).toHaveLength(5);
    const commands = servers.filter(({ command }) => command !== undefined);
    expect(commands.map(({ command, args }) => [command, args])).toEqual(
      Array(2).fill(["agentbus", ["mcp", "--as", "jack", "--url", "http://127.0.0.1:8091"]]),
    );
    for (const { url, headers } of servers.filter(({ command }) => command === undefined)) {
      expect(url).toBe("http://127.0.0.1:8091/mcp");
      expect(Object.keys(headers)).toEqual(["X-Bus-Agent", "Authorization"]);
    }
  });
});

describe("a page", () => {
  test.each(["CONTRIBUTING.md", "SECURITY.md", "docs/operations.md", "docs/mcp.md"])(
    "%s names only files that are there",
    (page) => {
      const root = new URL("../", import.meta.url);
      const text = readFileSync(new URL(page, root), "utf8");
      const named = [...text.matchAll(/`((?:src|test|scripts|docs|deploy|proto|gen|\.ci)\/[\w./-]+)`/g)].map(
        ([, path = ""]) => path,
      );
      const linked = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path = ""]) => path);
      const missing = [
        ...named.filter((path) => !existsSync(new URL(path, root))),
        ...linked.filter((path) => !existsSync(new URL(path, new URL(page, root)))),
      ];
      expect(missing).toEqual([]);
    },
  );
});

test("nothing sends a stranger to the npm registry, where agentbus is another program", () => {
  const words = ["ls-files", "--cached", "--others", "--exclude-standard", "*.md", "src", "examples", "deploy"];
  const files = execFileSync("git", words, { cwd: ROOT, encoding: "utf8" }).trim().split("\n");
  const texts = files
    .filter((file) => existsSync(`${ROOT}${file}`))
    .map((file) => [file, readFileSync(`${ROOT}${file}`, "utf8")]);
  const filesWith = (pattern: RegExp) => texts.filter(([, text = ""]) => pattern.test(text)).map(([file]) => file);
  expect(texts.length).toBeGreaterThan(100);
  expect(
    filesWith(/\bnp(m (i|install|add|exec)|x)( -\S+)* agentbus@|\bnpm (i|install|add|exec)( -\S+)* agentbus(?![\w-])/),
  ).toEqual([]);
  // Where npx has it, and only there: in a clone, or behind the install.
  const clone = ["README.md", "docs/decisions/0013-package.md", "docs/mcp.md", "docs/operations.md"];
  expect(filesWith(/\bnpx( -\S+)* agentbus\b/)).toEqual(clone);
});

describe("docs/cli.md", () => {
  test("has every command's help and shows what it prints on a fresh bus", { timeout: 240_000 }, async () => {
    await expect(script("write-cli-page.ts")).resolves.toBeDefined();
  });
});

test("the container, the unit and the pages about running a bus set only variables that there are", () => {
  const known = new Set((Object.keys(settings) as SettingName[]).map(environmentName));
  for (const page of ["Dockerfile", "deploy/agentbus.service", "docs/operations.md", "SECURITY.md"]) {
    const text = readFileSync(new URL(`../${page}`, import.meta.url), "utf8");
    const named = [...text.matchAll(/AGENTBUS_[A-Z_]*[A-Z]/g)].map(([name]) => name);
    expect(
      named.filter((name) => !known.has(name)),
      page,
    ).toEqual([]);
    expect(named.length, page).toBeGreaterThan(0);
  }
});
