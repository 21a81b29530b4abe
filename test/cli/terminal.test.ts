/** Mail is written by others: on a terminal it must not be able to do anything but be read. */
import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { oneLine, withoutControls } from "#dist/cli/visible-text.js";
import { type CliOptions, cli, cliOf, documentOf, type Ended, mail, newName, preload, sharedBus } from "./run-cli.ts";

const SCRIPT = "/usr/bin/script";
/** Colour, clear the screen (C1 form), set the title, ring, go back over what stands there, delete. */
const HOSTILE = "a\u001b[31mb\u009b2Jc\u001b]0;title\u0007d\b\b\re\u007ff\r\n\tg";
const HARMLESS = "a␛[31mb<9b>2Jc␛]0;title␇d␈␈␍e␡f\n\tg";

/** Runs a command whose stdout is a terminal; both its outputs come back as stdout. */
async function onTerminal(words: readonly string[], options: CliOptions): Promise<Ended> {
  if (!existsSync(SCRIPT)) {
    return cli(words, {
      ...options,
      nodeOptions: preload(`Object.defineProperty(process.stdout, "isTTY", { value: true })`),
    });
  }
  // script takes the command as one string: every word goes into quotes.
  const prefix = ["sh", "-c", `exec ${SCRIPT} -qec "$(printf "'%s' " "$@")" /dev/null`, "sh"];
  const ended = await cli(words, { ...options, prefix });
  return { ...ended, stdout: ended.stdout.replaceAll("\r\n", "\n") };
}

const shared = sharedBus();

describe("control characters in mail", () => {
  test("become visible signs on a terminal, in inbox and in show", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const id = await mail(bus, name, HOSTILE, HOSTILE.replaceAll("\n", ""));
    const env = { AGENTBUS_URL: bus.url, AGENTBUS_AGENT: name };
    for (const words of [["show", id], ["inbox"]]) {
      const { code, stdout } = await onTerminal(words, { env });
      expect(code).toBe(0);
      expect(stdout).toContain(`\n\n${HARMLESS}\n--- end of ${id} ---\n`);
      expect(stdout).toContain("Subject: a␛[31mb<9b>2Jc␛]0;title␇d␈␈ e␡f g\n");
      expect(stdout.replace(/[\n\t]/g, "")).not.toMatch(/\p{Cc}/u);
    }
  });

  test("stand in a body as they were sent when a program reads it, but never in a heading", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const id = await mail(bus, name, HOSTILE, "x\nId: forged\u001b[2J");
    const { stdout } = await cliOf(bus, name)(["inbox", "--look"]);
    expect(stdout).toContain(`\n\n${HOSTILE}\n--- end of ${id} ---\n`);
    expect(stdout).toContain("Subject: x Id: forged␛[2J\n");
    expect(stdout.match(/^Id: .*$/gm)).toEqual([`Id: ${id}`]);
  });

  test("are escaped in JSON, which still reads as it was sent", async () => {
    const [bus, name] = [shared(), newName("jack")];
    await mail(bus, name, HOSTILE, "x");
    const printed = await cliOf(bus, name)(["inbox", "--json"]);
    expect(printed.stdout.trimEnd()).not.toMatch(/\p{Cc}/u);
    expect(documentOf(printed).messages[0].body).toBe(HOSTILE);
  });

  test("in a description neither break the table of agents nor reach the terminal", async () => {
    const [bus, name] = [shared(), newName("jack")];
    await bus.ok("RegisterAgent", { agent: name, description: "x\u001b[2J\nann  0" });
    const { stdout } = await cli(["agents", "--query", name, "--url", bus.url]);
    expect(stdout.trimEnd().split("\n")).toHaveLength(2);
    expect(stdout).toContain("  x␛[2J ann  0\n");
  });

  test("in what is said on stderr become visible signs", async () => {
    const { stderr } = await cliOf(shared(), "Bad\u001b[2J\nName")(["inbox"]);
    expect(stderr).toMatch(/^INVALID_FIELD: .*\n$/);
    expect(stderr.trimEnd()).not.toMatch(/\p{Cc}/u);
  });

  test("are all caught: every control but line end and tab in a body, every one in a heading", () => {
    const controls = Array.from({ length: 0xa0 }, (_, code) => String.fromCharCode(code)).filter((sign) =>
      /\p{Cc}/u.test(sign),
    );
    expect(controls).toHaveLength(65);
    expect(withoutControls(controls.join("")).match(/\p{Cc}/gu)).toEqual(["\t", "\n"]);
    expect(oneLine(controls.join(""))).not.toMatch(/\p{Cc}/u);
    expect(oneLine("a\r\n\u2028\u2029b")).toBe("a b");
  });
});
