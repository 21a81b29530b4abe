/** Where the body of a message comes from. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { startBus, temporaryFolder } from "../start-bus.ts";
import { type CliOptions, cliOf, DEAD_URL, newName, sharedBus } from "./run-cli.ts";

const TEXT = "first line\n\tsecond — ünïcode 🚌\n";

const shared = sharedBus();

describe("send takes its body", () => {
  test.each<[string, string[], CliOptions, string]>([
    ["from an argument", [TEXT], {}, TEXT],
    ["from an argument that looks like an option", ["--", "--json"], {}, "--json"],
    ["from standard input", ["-"], { stdin: TEXT }, TEXT],
    ["from a file", ["--body-file", "body.md"], {}, TEXT],
    ["from standard input named as a file", ["--body-file", "-"], { stdin: TEXT }, TEXT],
    ["from an empty argument as no body", [""], {}, ""],
  ])("%s", async (_, words, options, body) => {
    const [bus, name] = [shared(), newName("jack")];
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, "body.md"), TEXT);
    const sent = await cliOf(bus, "joe")(["send", name, "-s", "x", ...words], { ...options, cwd });
    expect(sent.code).toBe(0);
    expect((await bus.ok("PullInbox", { agent: name })).messages).toMatchObject([{ id: sent.stdout.trim(), body }]);
  });
});

test("broadcast takes its body from standard input as well, and only from one place", async () => {
  const bus = shared();
  await bus.ok("RegisterAgent", { agent: "jack" });
  const joe = cliOf(bus, "joe");
  const sent = await joe(["broadcast", "-s", "x", "-"], { stdin: TEXT });
  expect(sent).toMatchObject({ code: 0, stderr: "" });
  const twice = await joe(["broadcast", "-s", "x", "-", "--body-file", "body.md"], { stdin: TEXT });
  expect(twice).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(/^give the body once: /) });
  const { messages } = await bus.ok("PullInbox", { agent: "jack" });
  expect(messages).toMatchObject([{ id: sent.stdout.trim(), body: TEXT }]);
});

describe("send refuses with 2, before it asks a bus,", () => {
  const ONCE = /^give the body once: .*\n$/;
  test.each<[string, string[], CliOptions, RegExp]>([
    ["no body", [], {}, ONCE],
    ["an argument and a file", ["x", "--body-file", "body.md"], {}, ONCE],
    ["standard input and a file", ["-", "--body-file", "body.md"], { stdin: "x" }, ONCE],
    ["an empty standard input, as a failed producer leaves it", ["-"], {}, /^standard input is empty; .*\n$/],
    ["a file that is not there", ["--body-file", "none.md"], {}, /^none\.md can't be read: ENOENT.*\n$/],
    ["a folder", ["--body-file", "."], {}, /^\. can't be read: EISDIR.*\n$/],
    ["bytes that are no text", ["-"], { stdin: Uint8Array.of(0xff, 0xfe) }, /^standard input is not text in UTF-8\n$/],
    [
      "more than any bus takes",
      ["-"],
      { stdin: "x".repeat(2_097_153) },
      /^standard input is larger than any bus .*\n$/,
    ],
  ])("%s", async (_, words, options, line) => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, "body.md"), TEXT);
    const refused = await cliOf({ url: DEAD_URL }, "joe")(["send", "jack", "-s", "x", ...words], { ...options, cwd });
    expect(refused).toEqual({ code: 2, stdout: "", stderr: expect.stringMatching(line) });
  });
});

test("send leaves the size that this bus takes to the bus, and stores nothing beyond it", async () => {
  const bus = await startBus({ maxBodyBytes: "1000" });
  const send = (length: number) => cliOf(bus, "joe")(["send", "jack", "-", "-s", "x"], { stdin: "x".repeat(length) });
  expect(await send(1001)).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(/^BODY_TOO_LARGE: .*1000.*\n$/),
  });
  const sent = await send(1000);
  expect(sent.code).toBe(0);
  const { messages } = await bus.ok("PullInbox", { agent: "jack" });
  expect(messages.map(({ id }: { id: string }) => id)).toEqual([sent.stdout.trim()]);
});
