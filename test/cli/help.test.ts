/** What `--help` says, and that an old Node is told so. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { delimiter } from "node:path";
import { describe, expect, test } from "vitest";
import { groups } from "#dist/cli/command-table.js";
import { environmentName, type SettingName, settings } from "#dist/config.js";
import { type CliOptions, cli, MAIN, preload } from "./run-cli.ts";

const SOURCE = new URL("../../src/cli/", import.meta.url);
const names = Object.keys(settings) as SettingName[];
const ofScope = (scope: string) => names.filter((name) => [scope, "both"].includes(settings[name].scope));
/** Of the commands that are not, or not only, about calling a bus. */
const local: Record<string, readonly SettingName[]> = {
  serve: ofScope("serve"),
  backup: ["store"],
  token: ["store"],
  // Of its parts, only some need more.
  outbox: ["outbox"],
  // Its agent is its argument.
  work: ofScope("call").filter((name) => name !== "agent"),
  completion: [],
};
const headings = new RegExp(Object.keys(groups).join("|"));

/** One file a command. */
const commands = readdirSync(SOURCE)
  .map((file) => /^export function (\w+)Command\(\): Command/m.exec(readFileSync(new URL(file, SOURCE), "utf8"))?.[1])
  .filter((name) => name !== undefined);
/** The names under headings of a help text. */
const listed = (help: string, heading: RegExp) =>
  [...help.matchAll(new RegExp(`^(?:${heading.source}):?\n((?: {2}.*\n)+)`, "gm"))].flatMap(([, block = ""]) =>
    [...block.matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name),
  );
const inOneLine = (text: string) => text.replace(/\s+/g, " ");

function expectSettings(help: string, of: readonly SettingName[]): void {
  for (const name of of) {
    expect(help).toContain(`--${settings[name].flag}`);
    expect(inOneLine(help)).toContain(inOneLine(settings[name].help));
    expect(inOneLine(help)).toContain(`env: ${environmentName(name)}`);
    if (settings[name].default !== undefined) expect(inOneLine(help)).toContain(`default: ${settings[name].default},`);
  }
}

describe("agentbus --help", () => {
  test("lists every command, where a bus is looked for, the exit codes and examples", async () => {
    const { code, stdout, stderr } = await cli(["--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(listed(stdout, headings).sort()).toEqual(commands.sort());
    expectSettings(stdout, ofScope("call"));
    expect([...stdout.matchAll(/^ {2}(\d) {2}\w/gm)].map(([, exit]) => exit)).toEqual(["0", "1", "2", "3", "4", "5"]);
    expect(stdout).toMatch(/^Examples:\n {2}agentbus serve\n/m);
    expect((await cli(["help"])).stdout).toBe(stdout);
  });

  test("stays within 80 columns where it is not told how wide the reader is", async () => {
    const { stdout } = await cli(["--help"]);
    expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
  });
});

describe("agentbus COMMAND --help", () => {
  test.each(commands)("%s: has an example and names its settings", async (command) => {
    const { code, stdout, stderr } = await cli([command, "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(new RegExp(`^Usage: agentbus ${command} `));
    expect(stdout).toMatch(new RegExp(`^Examples?:\n(.*\n)*.*\\bagentbus ${command}\\b`, "m"));
    const parts = listed(stdout, /Commands/).filter((part) => part !== "help");
    const helps = parts.length === 0 ? [stdout] : [];
    for (const part of parts) helps.push((await cli([command, `${part}`, "--help"])).stdout);
    for (const help of helps) {
      expectSettings(help, local[command] ?? ofScope("call"));
      expect(help).toContain("--json");
      expect(inOneLine(help)).not.toMatch(/\(default: [^()]*\) \(default/);
    }
  });

  test("is what help COMMAND prints", async () => {
    expect(await cli(["help", "inbox"])).toEqual(await cli(["inbox", "--help"]));
  });
});

test("agentbus --version prints the version of the package", async () => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  expect(await cli(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});

describe("a Node that is too old", () => {
  const posing = (node: string, napi: number): CliOptions => ({
    nodeOptions: preload(
      `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${node}", napi: "${napi}" } })`,
    ),
  });
  /** The machine's own node where that is too old, else this one posing as one. */
  const aged = (): [string, CliOptions] => {
    const path = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => !folder.includes("node_modules"));
    try {
      const env = { ...process.env, PATH: path.join(delimiter) };
      const found = execFileSync("node", ["-p", "process.execPath + ' ' + process.versions.node"], {
        env,
        encoding: "utf8",
      });
      const [node = "", version = ""] = found.trim().split(" ");
      if (Number.parseInt(version, 10) < 22) return [version, { node }];
    } catch {
      // There is no other node.
    }
    return ["20.20.2", posing("20.20.2", 9)];
  };

  test("is told so in one line with 2, whatever the command, and does not crash", async () => {
    const [version, options] = aged();
    const stderr = `agentbus needs Node 22.14, 23.6 or newer; this is ${version}. Install a newer one from https://nodejs.org.\n`;
    for (const words of [["serve"], ["--help"], []]) {
      expect(await cli(words, options)).toEqual({ code: 2, stdout: "", stderr });
    }
  });

  test("is one without the Node-API of the database driver, as package.json says too", async () => {
    const { engines } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    expect(engines.node).toBe(">=22.14 <23 || >=23.6");
    expect((await cli(["--version"], posing("22.13.1", 9))).code).toBe(2);
    expect((await cli(["--version"], posing("22.14.0", 10))).code).toBe(0);
    expect((await cli(["--version"], posing("100.0.0", 11))).code).toBe(0);
  });

  test("is looked at before anything else is loaded", () => {
    const main = readFileSync(MAIN, "utf8");
    expect(main).not.toMatch(/^import\s+[^(]/m);
    expect(main).toMatch(/^#!\/usr\/bin\/env node\n/);
  });
});
