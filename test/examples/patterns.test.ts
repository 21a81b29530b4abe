/** The scripts of examples/patterns, run as a newcomer runs them, and what the bus remembers of it. */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { MAIN } from "../cli/run-cli.ts";
import { startBus, type TestBus, temporaryFolder } from "../start-bus.ts";

const PATTERNS = new URL("../../examples/patterns/", import.meta.url).pathname;

interface Given {
  readonly stdin?: string;
  readonly env?: Record<string, string>;
}

/** Runs a script in its folder, with `agentbus` on its PATH, and gives what it printed. */
async function run(bus: TestBus, script: string, { stdin = "", env = {} }: Given = {}): Promise<string> {
  const folder = temporaryFolder();
  writeFileSync(`${folder}/stdin`, stdin);
  writeFileSync(`${folder}/agentbus`, `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`, { mode: 0o755 });
  const given = { PATH: `${folder}:${process.env["PATH"]}`, XDG_STATE_HOME: folder, AGENTBUS_URL: bus.url, ...env };
  const file = join(PATTERNS, script);
  const options = { env: given, cwd: dirname(file), timeout: 25_000 };
  return (await promisify(execFile)("sh", ["-c", `exec "$0" < ${folder}/stdin`, file], options)).stdout;
}

/** All that an agent ever received, oldest first. */
async function received(bus: TestBus, agent: string): Promise<any[]> {
  return (await bus.ok("ListMessages", { agent, box: "BOX_INBOX" })).messages.reverse();
}

describe("examples/patterns", () => {
  test("delegation: the user's task reaches the specialist, and its result the user, each message once", async () => {
    const bus = await startBus();
    const printed = await run(bus, "delegation/run.sh");
    expect(printed).toMatch(/^From: manager\nTo: user\n[\s\S]*^Subject: Re: Count the words\n[\s\S]*\n9 words\n---/m);

    const [[task, result], [delegated], [answer]] = [
      await received(bus, "manager"),
      await received(bus, "specialist"),
      await received(bus, "user"),
    ];
    const read = { state: "DELIVERY_STATE_READ" };
    expect(task).toMatchObject({ from: "user", subject: "Count the words", ...read });
    expect(delegated).toMatchObject({ from: "manager", inReplyTo: task.id, body: task.body, hops: 1, ...read });
    expect(result).toMatchObject({ from: "specialist", inReplyTo: delegated.id, body: "9 words\n", hops: 2, ...read });
    expect(answer).toMatchObject({ from: "manager", inReplyTo: task.id, body: "9 words\n", ...read });
    for (const agent of ["specialist", "user"]) expect(await received(bus, agent)).toHaveLength(1);
  });

  test("delegation: a manager that runs twice for one message delegates and answers once", async () => {
    const bus = await startBus();
    const { id } = await bus.ok("Send", { from: "user", to: "manager", subject: "Count", body: "one two" });
    const twice = ["delegation/manager.sh", "delegation/manager.sh"];
    const message = { AGENTBUS_AGENT: "manager", AGENTBUS_MESSAGE_ID: id, AGENTBUS_SUBJECT: "Count" };
    for (const script of twice) await run(bus, script, { stdin: "one two", env: message });
    const [delegated, ...more] = await received(bus, "specialist");
    expect(more).toEqual([]);
    const sent = { from: "specialist", to: "manager", body: "2 words", inReplyTo: delegated.id };
    const { id: resultId } = await bus.ok("Send", sent);
    const result = { ...message, AGENTBUS_MESSAGE_ID: resultId, AGENTBUS_IN_REPLY_TO: delegated.id };
    for (const script of twice) await run(bus, script, { stdin: "2 words", env: result });
    expect(await received(bus, "user")).toMatchObject([{ inReplyTo: id, body: "2 words" }]);
  });

  test("knowledge: one agent asks, the other answers, also what it does not know", async () => {
    const bus = await startBus();
    const printed = await run(bus, "knowledge/run.sh");
    expect(printed).toBe('developer: was told "api-port: The API listens on port 8091.", and goes on.\n');
    expect(await received(bus, "developer")).toMatchObject([{ from: "librarian", state: "DELIVERY_STATE_READ" }]);
    const unknown = await run(bus, "knowledge/librarian.sh", { stdin: "--help" });
    expect(unknown).toBe('I know nothing about "--help".\n');
  });

  test("heartbeat: a worker does what waits when it is there, and its manager knows how it stands", async () => {
    const [bus, board] = [await startBus(), temporaryFolder()];
    const printed = await run(bus, "heartbeat/run.sh", { env: { BOARD: board } });
    const lines = printed.split("\n").filter((line) => /^(builds|builder:)/.test(line));
    expect(lines).toEqual([
      "builds website",
      "builds handbook",
      expect.stringMatching(/^builder:20\S+Z did all that waited$/),
      expect.stringMatching(/^builder:20\S+Z had nothing to do$/),
    ]);
    expect(await received(bus, "builder")).toMatchObject([
      { body: "website", state: "DELIVERY_STATE_READ" },
      { body: "handbook", state: "DELIVERY_STATE_READ" },
    ]);

    await bus.ok("Send", { from: "user", to: "builder", subject: "Build", body: "broken\n" });
    await run(bus, "heartbeat/builder.sh");
    await run(bus, "heartbeat/manager.sh", { env: { BOARD: board } });
    expect(readFileSync(`${board}/builder`, "utf8")).toMatch(/^20\S+Z could not do everything; it will try again\n$/);
  });
});
