/** What the README shows is what the programs print. */
import { execFile } from "node:child_process";
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
