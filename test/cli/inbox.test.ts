/** `agentbus inbox` acknowledges what its reader took, and nothing else. */
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { startBus, type TestBus } from "../start-bus.ts";
import {
  type CliOptions,
  cliOf,
  documentOf,
  mail,
  newName,
  type RunningCli,
  sharedBus,
  startCli,
  unread,
  until,
} from "./run-cli.ts";

const shared = sharedBus();

const start = (bus: TestBus, agent: string, words: readonly string[], options: CliOptions = {}) =>
  startCli(["inbox", ...words], { ...options, env: { AGENTBUS_URL: bus.url, AGENTBUS_AGENT: agent } });

/** Four messages that no pipe holds at once, but one pull does. */
async function bulkyMail(bus: TestBus, to: string): Promise<string[]> {
  const ids: string[] = [];
  for (const sign of "abcd") ids.push(await mail(bus, to, sign.repeat(250_000)));
  return ids;
}

/** Returns when the command has begun to print, and so waits for a reader to go on. */
async function blocked(running: RunningCli): Promise<void> {
  await once(running.stdout, "readable");
  expect(running.process.exitCode).toBeNull();
}

describe.each([
  { form: "in words", words: [] },
  { form: "with --json", words: ["--json"] },
])("mail $form stays unread", ({ words }) => {
  test("when the reader hung up before it came", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const running = start(bus, name, ["--wait", "20", ...words]);
    running.stdout.destroy();
    await once(running.stdout, "close");
    const id = await mail(bus, name, "x");
    expect(await running.ended()).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^the output could not be written: .*\n$/),
    });
    expect(await unread(bus, name)).toEqual([id]);
  });

  test("when the reader hangs up in the middle of it", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const ids = await bulkyMail(bus, name);
    const prefix = ["sh", "-c", '{ "$@"; echo "ended with $?" >&2; } | head -c 1000', "sh"];
    const { stdout, stderr } = await start(bus, name, words, { prefix }).ended();
    expect(stdout).toHaveLength(1000);
    expect(stderr).toMatch(/^the output could not be written: .*\nended with 1\n$/);
    expect(await unread(bus, name)).toEqual(ids);
  });

  test("when the disk is full that it is written to", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const id = await mail(bus, name, "x");
    const ended = await start(bus, name, words, { prefix: ["sh", "-c", '"$@" >/dev/full', "sh"] }).ended();
    expect(ended).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("no space left on device") });
    expect(await unread(bus, name)).toEqual([id]);
  });

  test.each([">/dev/null", ">&-"])("when standard output is %s, which nobody reads", async (target) => {
    const [bus, name] = [shared(), newName("jack")];
    const id = await mail(bus, name, "x");
    const prefix = ["sh", "-c", `"$@" ${target}`, "sh"];
    const ended = await start(bus, name, words, { prefix }).ended();
    expect(ended).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringMatching(/^standard output is closed or/),
    });
    expect(await unread(bus, name)).toEqual([id]);
    expect(await start(bus, name, ["--look", ...words], { prefix }).ended()).toMatchObject({ code: 0, stderr: "" });
  });

  test("until a slow reader has taken the last byte, and after kill -9 before that", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const ids = await bulkyMail(bus, name);
    const killed = start(bus, name, words);
    await blocked(killed);
    await killed.kill("SIGKILL");
    expect(await unread(bus, name)).toEqual(ids);

    const slow = start(bus, name, words);
    await blocked(slow);
    await new Promise((resolve) => setTimeout(resolve, 300)); // an early ack would come within this
    expect(await unread(bus, name)).toEqual(ids);
    const ended = await slow.ended();
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    for (const id of ids) expect(ended.stdout).toContain(id);
    expect(ended.stdout.length).toBeGreaterThan(1_000_000);
    expect(await unread(bus, name)).toEqual([]);
  });
});

describe("agentbus inbox", () => {
  test("says that printed mail comes again if the bus went away before the ack", async () => {
    const bus = await startBus();
    const ids = await bulkyMail(bus, "jack");
    const running = start(bus, "jack", []);
    await blocked(running);
    await bus.stop();
    const { code, stdout, stderr } = await running.ended();
    expect({ code, stderr }).toEqual({
      code: 5,
      stderr: expect.stringMatching(/^UNREACHABLE.*may not be acknowledged.*\n$/),
    });
    expect(stdout).toContain(ids[3]);
    expect(await unread(await startBus({}, bus.folder), "jack")).toEqual(ids);
  });

  test("ends with 1 and names what became a dead letter while it was printed", async () => {
    const [bus, name] = [shared(), newName("jack")];
    await bus.ok("RegisterAgent", { agent: name });
    const ids = await bulkyMail(bus, name);
    const running = start(bus, name, []);
    await blocked(running);
    await bus.ok("RemoveAgent", { agent: name, force: true });
    const { code, stderr } = await running.ended();
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(`^printed but not acknowledged.*${ids.join(" ")}\n$`),
    });
  });

  test("acknowledges with -n only what it printed, and says that more waits", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const ids = [await mail(bus, name, "one"), await mail(bus, name, "two"), await mail(bus, name, "three")];
    const printed = await cliOf(bus, name)(["inbox", "-n", "1"]);
    expect(printed).toMatchObject({ code: 0, stderr: "more mail waits: run it again\n" });
    expect(printed.stdout.match(/^Id: .*$/gm)).toEqual([`Id: ${ids[0]}`]);
    expect(await unread(bus, name)).toEqual(ids.slice(1));
  });

  test("acknowledges nothing with --look, and prints the same mail again", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const ids = [await mail(bus, name, "one"), await mail(bus, name, "two")];
    const jack = cliOf(bus, name);
    const first = await jack(["inbox", "--look", "-n", "1"]);
    expect(first).toMatchObject({ code: 0, stderr: "more mail waits: ack this, or raise -n\n" });
    expect((await jack(["inbox", "--look", "-n", "1"])).stdout).toBe(first.stdout);
    const json = await jack(["inbox", "--look", "--json"]);
    expect(documentOf(json)).toEqual(await bus.ok("PullInbox", { agent: name }));
    expect(await unread(bus, name)).toEqual(ids);
  });

  test("hides mail with --lease until it is acknowledged by the lease that was printed", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const ids = [await mail(bus, name, "one"), await mail(bus, name, "two")];
    const jack = cliOf(bus, name);
    const plain = await jack(["inbox", "--lease", "600", "-n", "1"]);
    expect(plain.code).toBe(0);
    const [, lease = ""] = /^Lease: (\S+)\nLease-Ends: 20\S+Z\n\nFrom: joe\n/.exec(plain.stdout) ?? [];
    expect(plain.stdout).toContain(`Id: ${ids[0]}\n`);
    const document = documentOf(await jack(["inbox", "--lease", "600", "--json"]));
    expect(document).toMatchObject({ messages: [{ id: ids[1], deliveryAttempt: 1 }], hasMore: false });
    expect(document.leaseId).not.toBe(lease);

    const state = async (messageId: string | undefined) =>
      (await bus.ok("GetMessage", { agent: name, messageId })).message.state;
    expect([await state(ids[0]), await state(ids[1])]).toEqual(["DELIVERY_STATE_LEASED", "DELIVERY_STATE_LEASED"]);
    expect(await jack(["ack", `${ids[0]}`, "--lease", lease])).toMatchObject({ code: 0 });
    const foreign = await jack(["ack", `${ids[1]}`, "--lease", lease]);
    expect(foreign).toMatchObject({
      code: 1,
      stdout: "0 acknowledged\n",
      stderr: expect.stringMatching(`^stale.*${ids[1]}\n$`),
    });
    expect([await state(ids[0]), await state(ids[1])]).toEqual(["DELIVERY_STATE_READ", "DELIVERY_STATE_LEASED"]);
  });

  test("gives a lease back, without an attempt counted, when its mail could not be printed", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const id = await mail(bus, name, "x");
    const ended = await start(bus, name, ["--lease", "600"], { prefix: ["sh", "-c", '"$@" >/dev/full', "sh"] }).ended();
    expect(ended.code).toBe(1);
    const { messages } = await bus.ok("PullInbox", { agent: name, leaseSeconds: 60 });
    expect(messages).toMatchObject([{ id, deliveryAttempt: 1 }]);
  });

  test("waits with --wait until mail comes, also when its bus stops and another node takes over", async () => {
    const [one, two] = [await startBus(), await startBus()];
    const running = start(one, "jack", ["--wait", "25", "--json", "--url", `${one.url},${two.url}`]);
    const registered = (bus: TestBus) => async () => (await bus.ok("ListAgents", {})).agents.length === 1;
    await until("the first bus to be asked", registered(one));
    await one.stop();
    await until("the second bus to be asked", registered(two));
    const id = await mail(two, "jack", "x");
    const ended = await running.ended();
    expect(ended.code).toBe(0);
    expect(documentOf(ended)).toMatchObject({ messages: [{ id }] });
    expect(await unread(two, "jack")).toEqual([]);
  });

  test("waits no longer than it was told", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const began = performance.now();
    expect(await cliOf(bus, name)(["inbox", "--wait", "1"])).toMatchObject({ code: 3, stdout: "" });
    expect(performance.now() - began).toBeGreaterThan(1000);
  });
});
