/** What the pages show is what the programs print. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

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

describe("a page", () => {
  test.each(["CONTRIBUTING.md", "SECURITY.md", "docs/operations.md"])("%s names only files that are there", (page) => {
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
  });
});
