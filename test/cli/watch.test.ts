/** `agentbus watch`: lines for a program, a screen for a person, and a bus that goes away meanwhile. */
import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { spawnBus, startBus, type TestBus } from "../start-bus.ts";
import { cli, mail, type RunningCli, startCli, unread, until } from "./run-cli.ts";

const SCRIPT = "/usr/bin/script";

function watching(bus: Pick<TestBus, "url">, ...more: string[]) {
  const running = startCli(["watch", "--interval", "1s", ...more], { env: { AGENTBUS_URL: bus.url } });
  return { running, printed: gathered(running) };
}

/** What it has printed so far. */
function gathered(running: RunningCli): () => string {
  let printed = "";
  running.stdout.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
  });
  return () => printed;
}

describe("agentbus watch, not on a terminal,", () => {
  test("prints what changes, and new mail of its agent, which stays unread", async () => {
    const bus = await startBus();
    const old = await mail(bus, "jack", "old");
    const { running, printed } = watching(bus, "--as", "jack");
    await until("the first look", () => printed().includes("agent joe"));
    const first = printed();
    expect(first).toMatch(/^20\S+Z agent jack unread=1 oldest=20\S+Z dead=0 \(not registered\)$/m);
    expect(first).toMatch(/^20\S+Z agent joe unread=0 oldest=- dead=0$/m);
    const id = await mail(bus, "jack", "two\nlines", "News");
    await until("the mail", () => printed().includes(id));
    const more = printed().slice(first.length);
    expect(more).toMatch(/ agent jack unread=2 /);
    expect(more).toMatch(new RegExp(` message ${id} from joe to jack: News: two lines\n`));
    expect(printed()).not.toContain(old);
    expect(more).not.toContain("agent joe");
    await bus.ok("RemoveAgent", { agent: "joe", force: true });
    await until("the removal", () => printed().includes("agent joe removed"));
    running.process.kill("SIGINT");
    expect(await running.ended()).toMatchObject({ code: 0, stderr: "" });
    expect(await unread(bus, "jack")).toEqual([old, id]);
  });

  test("prints a document for each change with --json, in the wire's form", async () => {
    const bus = await startBus();
    const { running, printed } = watching(bus, "--as", "jack", "--json");
    await bus.ok("RegisterAgent", { agent: "jack" });
    await until("the agent", () => printed().includes("jack"));
    const id = await mail(bus, "jack", "x");
    await until("the mail", () => printed().includes(id));
    running.process.kill("SIGTERM");
    expect((await running.ended()).code).toBe(0);
    const documents = printed()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(documents[0]).toEqual({ agent: expect.objectContaining({ name: "jack", unreadCount: 0, deadCount: 0 }) });
    const { message } = documents.find((document) => "message" in document);
    expect(message).toMatchObject({ id, from: "joe", to: "jack", state: "DELIVERY_STATE_UNREAD" });
  });

  test("ends well when its reader has seen enough", async () => {
    const bus = await startBus();
    await bus.ok("RegisterAgent", { agent: "jack" });
    const { running, printed } = watching(bus);
    await until("the first look", () => printed().includes("jack"));
    running.stdout.destroy();
    await mail(bus, "jack", "x");
    expect(await running.ended()).toMatchObject({ code: 0, stderr: "" });
  });

  test("goes on over a restart of the bus, and says so", { timeout: 30_000 }, async () => {
    const bus = await spawnBus();
    await bus.ok("RegisterAgent", { agent: "jack" });
    const { running, printed } = watching(bus);
    await until("the first look", () => printed().includes("agent jack"));
    await bus.kill("SIGKILL");
    await until("the outage is told", () => running.stderr().includes("UNREACHABLE: "));
    const again = await spawnBus({}, { folder: bus.folder, port: bus.port });
    await until("the return is told", () => running.stderr().includes("the bus answers again"));
    await again.ok("RegisterAgent", { agent: "ann" });
    await until("the change", () => printed().includes("agent ann"));
    expect(running.stderr().match(/UNREACHABLE/g)).toHaveLength(1);
    running.process.kill("SIGINT");
    expect((await running.ended()).code).toBe(0);
  });

  test("ends with what the bus refuses, such as a missing token", async () => {
    const bus = await startBus({ token: "secret" });
    const ended = await cli(["watch", "--url", bus.url]);
    expect(ended).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/^TOKEN_MISSING: /) });
  });
});

describe.skipIf(!existsSync(SCRIPT))("agentbus watch, on a terminal of 12 rows and 60 columns,", () => {
  /** What was drawn last, line by line. */
  const screen = (printed: string) => {
    const last = printed.split("\u001b[H").at(-1)?.split("\u001b[J")[0] ?? "";
    return last.replaceAll("\u001b[K", "").replaceAll("\r", "").trimEnd().split("\n");
  };

  test("redraws in place what is most urgent, within its size, and leaves by q with 0", async () => {
    const bus = await startBus();
    for (let i = 0; i < 20; i++) await bus.ok("RegisterAgent", { agent: `quiet-${i}`, description: "d".repeat(100) });
    await mail(bus, "jack", "Handle \u001b[31mit\n".repeat(20), "News");
    const command = ["sh", "-c", `exec ${SCRIPT} -qec "stty rows 12 cols 60; $(printf "'%s' " "$@")" /dev/null`, "sh"];
    const env = { AGENTBUS_URL: bus.url, TERM: "xterm" };
    const options = { env, prefix: command, typing: true };
    const running = startCli(["watch", "--as", "jack", "--interval", "1s"], options);
    const printed = gathered(running);
    await until("it is drawn twice", () => printed().split("\u001b[J").length > 2);
    running.process.stdin?.write("q");
    const ended = await running.ended();
    expect(ended.code).toBe(0);
    expect(printed()).toContain("\u001b[?1049h");
    expect(printed().trimEnd().endsWith("\u001b[?25h\u001b[?1049l")).toBe(true);
    const lines = screen(printed());
    expect(lines.length).toBeLessThanOrEqual(11);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
    expect(lines[0]).toBe(`agentbus at ${bus.url}    q leaves`);
    expect(lines[1]).toMatch(/^20\S+Z {2}agents: 22, unread: 1, dead: 0$/);
    expect(lines[3]).toMatch(/^NAME +UNREAD +OLDEST +DEAD +LAST SEEN +DESCRIPTION$/);
    expect(lines[4]).toMatch(/^jack +1 +\d+ s ago +0 /);
    expect(lines).toContainEqual(expect.stringMatching(/^and \d+ more$/));
    expect(lines.at(-1)).toMatch(/^\d+ s ago +joe +jack +News +Handle ␛\[31mit/);
  });
});
