/** Completion in the shells themselves: what TAB offers, and that it runs nothing of what was typed. */
import { execFile, spawnSync } from "node:child_process";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { type Completions, completeWords } from "#dist/cli/complete-words.js";
import { temporaryFolder } from "../start-bus.ts";
import { cli, documentOf, MAIN, sharedBus } from "./run-cli.ts";

const shared = sharedBus({ token: "secret" });
let bin = "";

beforeAll(async () => {
  const ends: (() => void | Promise<void>)[] = [];
  bin = temporaryFolder((free) => void ends.push(free));
  writeFileSync(join(bin, "agentbus"), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
  chmodSync(join(bin, "agentbus"), 0o755);
  for (const agent of ["jack", "jill", "joe"]) {
    await shared().ok("RegisterAgent", { agent, description: `Is ${agent}` });
  }
  return async () => {
    for (const free of ends) await free();
  };
});

const environment = (more: Record<string, string> = {}) => ({
  PATH: `${bin}:${process.env["PATH"]}`,
  HOME: bin,
  TERM: "dumb",
  AGENTBUS_URL: shared().url,
  AGENTBUS_TOKEN: "secret",
  ...more,
});

/** What may stand there, asked for in this process: a command takes as long as all of these together. */
async function offered(words: string[], env: Record<string, string> = environment()): Promise<string[] | "files"> {
  for (const name of ["AGENTBUS_URL", "AGENTBUS_TOKEN"]) vi.stubEnv(name, env[name]);
  onTestFinished(() => void vi.unstubAllEnvs());
  const found: Completions = await completeWords(words);
  return found === "files" ? found : found.map(({ value }) => value);
}

describe("completion", () => {
  test("offers commands, with what they do", async () => {
    const { stdout } = await cli(["completion", "words", "--", "se"], { env: environment() });
    expect(stdout.split("\n").map((line) => line.split("\t")[0])).toEqual(["send", "search", "serve", ""]);
    expect(stdout).toContain("search\tFind words in mail\n");
    const files = await cli(["completion", "words", "--", "backup", ""], { env: environment() });
    expect(files).toEqual({ code: 0, stdout: ":files\n", stderr: "" });
    expect(await offered([""])).toEqual(expect.arrayContaining(["send", "completion", "help", "--version"]));
    expect(await offered(["nonsense", ""])).toEqual([]);
  });

  test("offers the options of a command, its parts and their options", async () => {
    expect(await offered(["inbox", "--l"])).toEqual(["--look", "--lease"]);
    expect(await offered(["history", "--peer", "jack", "--u"])).toEqual(["--url", "--until"].sort().reverse());
    expect(await offered(["token", ""])).toEqual(["create", "list", "revoke"]);
    expect(await offered(["token", "create", "--a"])).toEqual(["--agent", "--admin"]);
    expect(await offered(["completion", ""])).toEqual(["bash", "zsh", "fish"]);
    expect(await offered(["serve", "--unknown-recipients", ""])).toEqual(["hold", "reject"]);
  });

  test("offers agents of the bus where a name goes, and files where a file goes", async () => {
    expect(await offered(["send", "ji"])).toEqual(["jill"]);
    expect(await offered(["send", ""])).toEqual(["ALL", "jack", "jill", "joe"]);
    expect(await offered(["send", "--as", "joe", "-s", "send", "J"])).toEqual(["jack", "jill", "joe"]);
    expect(await offered(["inbox", "--as", "jo"])).toEqual(["joe"]);
    expect(await offered(["inbox", "--as=jo"])).toEqual(["--as=joe"]);
    expect(await offered(["inbox", "--as", "=", "jo"])).toEqual(["joe"]);
    expect(await offered(["inbox", "--as", "="])).toEqual(["jack", "jill", "joe"]);
    expect(await offered(["send", "jack", "--body-file", ""])).toBe("files");
    expect(await offered(["work", "jack", "--", "./ha"])).toBe("files");
    expect(await offered(["send", "jack", "hel"])).toEqual([]);
  });

  test("takes url and token from the words or the environment, and is silent where no bus is", async () => {
    const none = environment({ AGENTBUS_URL: "http://127.0.0.1:1", AGENTBUS_TOKEN: "" });
    expect(await offered(["remove", "j"], none)).toEqual([]);
    const words = ["remove", `--url=${shared().url}`, "--token", "secret", "ji"];
    expect(await offered(words, none)).toEqual(["jill"]);
    expect(await offered(["remove", "j"], environment({ AGENTBUS_TOKEN: "wrong" }))).toEqual([]);
    expect(await offered(["remove", "j"], environment({ AGENTBUS_URL: "nonsense" }))).toEqual([]);
  });

  test("prints the script with --json as a document, and refuses another shell with 2", async () => {
    const printed = await cli(["completion", "bash"]);
    expect(documentOf(await cli(["completion", "bash", "--json"]))).toEqual({ shell: "bash", script: printed.stdout });
    expect(await cli(["completion", "tcsh"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("bash, zsh, fish"),
    });
  });
});

/** What a shell prints. Not in one breath: the bus that it asks runs in this process. */
async function printedBy(shell: string, ...words: string[]): Promise<string> {
  return (await promisify(execFile)(shell, words, { env: environment() })).stdout;
}

/** Where a shell is; "": nowhere. */
const found = (shell: string) => spawnSync("sh", ["-c", `command -v ${shell}`], { encoding: "utf8" }).stdout.trim();

describe("bash", () => {
  /** What it would put in for the last of these words, raw as they stand on its line. */
  const completed = async (...words: string[]) => {
    const script = `source <(agentbus completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _agentbus; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const printed = await printedBy("bash", "--norc", "-c", script, "bash", "agentbus", ...words);
    return printed.trimEnd().split("\n");
  };

  test("completes by the script", async () => {
    expect(await completed("hist")).toEqual(["history"]);
    expect(await completed("send", "--as", "=", "ji")).toEqual(["jill"]);
    expect(await completed("reply", "ID", "text", "--ac")).toEqual(["--ack"]);
  });

  test("runs nothing of what was typed", async () => {
    const made = join(bin, "made");
    expect(await completed("send", "jack", `"$(touch ${made})"`, `\`touch ${made}\``, "--as", "jo")).toEqual(["joe"]);
    expect(existsSync(made)).toBe(false);
  });

  test("has the function registered for agentbus", async () => {
    const script = "source <(agentbus completion bash) && complete -p agentbus";
    const printed = await printedBy("bash", "--norc", "-c", script);
    expect(printed).toBe("complete -F _agentbus agentbus\n");
  });
});

describe.skipIf(found("zsh") === "")("zsh", () => {
  test("takes the script, and offers words with descriptions", async () => {
    // Without a line editor there is nothing to complete: what it would describe is looked at.
    const script = `autoload -Uz compinit && compinit -u -D && source <(agentbus completion zsh)
      _describe() { print -l -- "\${(@P)2}" }
      words=(agentbus send '"a: b"' --as=j); CURRENT=4; _agentbus
      words=(agentbus red); CURRENT=2; _agentbus; print -- "\${_comps[agentbus]}"`;
    const printed = await printedBy("zsh", "-f", "-c", script);
    expect(printed.trimEnd().split("\n")).toEqual([
      "--as=jack:Is jack",
      "--as=jill:Is jill",
      "--as=joe:Is joe",
      "redrive:Make dead letters unread again",
      "_agentbus",
    ]);
  });
});

describe.skipIf(found("fish") === "")("fish", () => {
  test("completes by the script", async () => {
    const script = `source (agentbus completion fish | psub)
      for line in "agentbus red" "agentbus send ji" "agentbus inbox --as=ja" "agentbus show "
        complete -C $line
      end`;
    const printed = await printedBy("fish", "--no-config", "-c", script);
    expect(printed.trimEnd().split("\n")).toEqual([
      "redrive\tMake dead letters unread again",
      "jill\tIs jill",
      "--as=jack\tIs jack",
    ]);
  });
});
