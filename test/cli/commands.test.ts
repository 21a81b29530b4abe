/** What every command that calls a bus prints, in words and in the wire's JSON. */
import { describe, expect, test } from "vitest";
import { startBus } from "../start-bus.ts";
import { cli, cliOf, documentOf, mail, newName, sharedBus, unread } from "./run-cli.ts";

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TIME = /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const idLine = (stdout: string) => expect(stdout.replace(/\n$/, "")).toMatch(ID);

const shared = sharedBus();

describe("agentbus send", () => {
  test("prints the id alone, and the bus's remarks on stderr", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const sent = await cliOf(bus, "joe")(["send", name, "Please review.", "-s", "Review", "--ttl", "3600"]);
    expect(sent).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(new RegExp(`^nobody registered "${name}" yet: .*\n$`)),
    });
    idLine(sent.stdout);
    const { message } = await bus.ok("GetMessage", { agent: name, messageId: sent.stdout.trim() });
    expect(message).toMatchObject({ from: "joe", to: name, subject: "Review", body: "Please review." });
    expect(Date.parse(message.expireTime) - Date.parse(message.timestamp)).toBe(3_600_000);
  });

  test("prints the SendResponse with --json, remarks still on stderr", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const sent = await cliOf(bus, "joe")(["send", name, "x", "-s", "y", "--json"]);
    expect(sent).toMatchObject({ code: 0, stderr: expect.stringContaining("nobody registered") });
    expect(documentOf(sent)).toEqual({
      id: expect.stringMatching(ID),
      timestamp: expect.stringMatching(/^20.*Z$/),
      deduplicated: false,
      recipientKnown: false,
      recipientCount: 1,
      notice: expect.stringContaining("nobody registered"),
    });
  });

  test("stores a repeat with the same --request-id once, and says so", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const words = ["send", name, "x", "-s", "y", "--request-id", newName("r")];
    const first = await cliOf(bus, "joe")(words);
    const second = await cliOf(bus, "joe")(words);
    expect(second).toMatchObject({ code: 0, stdout: first.stdout, stderr: expect.stringContaining("already stored") });
    expect(await unread(bus, name)).toEqual([first.stdout.trim()]);
  });

  test("answers a message with --reply-to, and reaches everybody with ALL", async () => {
    const bus = await startBus();
    const task = await mail(bus, "jack", "x");
    await bus.ok("RegisterAgent", { agent: "ann" });
    const jack = cliOf(bus, "jack");
    const reply = (await jack(["send", "joe", "done", "-s", "Re: Task", "--reply-to", task])).stdout.trim();
    const toAll = documentOf(await jack(["send", "ALL", "done", "-s", "News", "--json"]));
    expect(toAll.recipientCount).toBe(2);
    expect(await unread(bus, "joe")).toEqual([reply, toAll.id]);
    expect(await unread(bus, "ann")).toEqual([toAll.id]);
    expect((await bus.ok("GetReceipt", { messageId: task })).receipts[0].replyMessageIds).toEqual([reply]);
  });
});

describe("agentbus broadcast", () => {
  test("prints the id alone and reaches every other agent, or also the sender", async () => {
    const bus = await startBus();
    for (const agent of ["ann", "joe"]) await bus.ok("RegisterAgent", { agent });
    const joe = cliOf(bus, "joe");
    const plain = await joe(["broadcast", "-s", "Freeze", "No merges."]);
    expect(plain).toMatchObject({ code: 0, stderr: "" });
    idLine(plain.stdout);
    const json = await joe(["broadcast", "-s", "Freeze", "No merges.", "--include-sender", "--json"]);
    expect(json).toMatchObject({ code: 0, stderr: "" });
    const document = documentOf(json);
    expect(document).toEqual({
      id: expect.stringMatching(ID),
      timestamp: expect.stringMatching(/^20.*Z$/),
      deduplicated: false,
      recipientCount: 2,
      notice: "",
    });
    expect(await unread(bus, "ann")).toEqual([plain.stdout.trim(), document.id]);
    expect(await unread(bus, "joe")).toEqual([document.id]);
  });

  test("says on stderr that it reached nobody", async () => {
    const sent = await cliOf(await startBus(), "joe")(["broadcast", "-s", "Freeze", "x"]);
    expect(sent).toMatchObject({ code: 0, stderr: expect.stringMatching(/^reached nobody.*\n$/) });
    idLine(sent.stdout);
  });
});

describe("agentbus inbox", () => {
  test("prints mail oldest first, each as headings, body and a line that names its id", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const first = await mail(bus, name, "one\ntwo");
    const second = await mail(bus, name, "");
    const printed = await cliOf(bus, name)(["inbox"]);
    expect(printed).toMatchObject({ code: 0, stderr: "" });
    expect(printed.stdout.replace(/^Date: (.*)$/gm, (_, time) => `Date: ${TIME.test(time)}`)).toBe(
      `From: joe\nTo: ${name}\nDate: true\nSubject: Task\nId: ${first}\n\none\ntwo\n--- end of ${first} ---\n\n` +
        `From: joe\nTo: ${name}\nDate: true\nSubject: Task\nId: ${second}\n\n--- end of ${second} ---\n`,
    );
  });

  test("prints the PullInboxResponse with --json, as curl gets it", async () => {
    const [bus, name] = [shared(), newName("jack")];
    await mail(bus, name, "one\ntwo");
    const expected = await bus.ok("PullInbox", { agent: name });
    expect(expected.messages).toHaveLength(1);
    const printed = await cliOf(bus, name)(["inbox", "--json"]);
    expect(printed).toMatchObject({ code: 0, stderr: "" });
    expect(documentOf(printed)).toEqual(expected);
  });

  test("ends with 3 when there is no mail: nothing on stdout, or an empty answer with --json", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const jack = cliOf(bus, name);
    const stderr = `no unread mail for ${name}\n`;
    expect(await jack(["inbox"])).toEqual({ code: 3, stdout: "", stderr });
    const json = await jack(["inbox", "--json"]);
    expect(json).toMatchObject({ code: 3, stderr });
    expect(documentOf(json)).toEqual({ messages: [], hasMore: false });
  });
});

describe("agentbus ack", () => {
  test("counts what is read now, also by an earlier call", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const ids = [await mail(bus, name, "x"), await mail(bus, name, "y")];
    const jack = cliOf(bus, name);
    expect(await jack(["ack", ...ids])).toEqual({ code: 0, stdout: "2 acknowledged\n", stderr: "" });
    const json = await jack(["ack", ...ids, "--json"]);
    expect(json).toMatchObject({ code: 0, stderr: "" });
    expect(documentOf(json)).toEqual({ ackedCount: 2, unknownMessageIds: [], staleMessageIds: [] });
    expect(await unread(bus, name)).toEqual([]);
  });

  test("ends with 1 and names what it did not acknowledge", async () => {
    const [bus, name, other] = [shared(), newName("jack"), newName("kim")];
    const [known, dead] = [await mail(bus, name, "x"), await mail(bus, other, "y")];
    const one = await cliOf(bus, name)(["ack", known, "nonsense", "--json"]);
    expect(one).toMatchObject({ code: 1, stderr: `not in the inbox of ${name}: nonsense\n` });
    expect(documentOf(one)).toEqual({ ackedCount: 1, unknownMessageIds: ["nonsense"], staleMessageIds: [] });
    await bus.ok("RegisterAgent", { agent: other });
    await bus.ok("RemoveAgent", { agent: other, force: true });
    const two = await cliOf(bus, other)(["ack", dead]);
    expect(two).toMatchObject({ code: 1, stdout: "0 acknowledged\n", stderr: expect.stringMatching(`stale.*${dead}`) });
  });
});

describe("agentbus show", () => {
  test("prints a message with its state, in words and as GetMessage answers it, and changes nothing", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const id = await mail(bus, name, "Handle it");
    const jack = cliOf(bus, name);
    const printed = await jack(["show", id]);
    expect(printed).toMatchObject({ code: 0, stderr: "" });
    expect(printed.stdout).toMatch(
      new RegExp(
        `^From: joe\nTo: ${name}\nDate: .*\nSubject: Task\nId: ${id}\nState: UNREAD\n\nHandle it\n--- end of ${id} ---\n$`,
      ),
    );
    const json = await jack(["show", id, "--json"]);
    expect(json).toMatchObject({ code: 0, stderr: "" });
    expect(documentOf(json)).toEqual(await bus.ok("GetMessage", { agent: name, messageId: id }));
    expect(await unread(bus, name)).toEqual([id]);
  });
});

describe("agentbus receipt", () => {
  test("says what became of a message, in words and as GetReceipt answers it", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const id = await mail(bus, name, "x");
    await bus.ok("Ack", { agent: name, messageIds: [id] });
    const joe = cliOf(bus, "joe");
    const printed = await joe(["receipt", id]);
    expect(printed).toMatchObject({ code: 0, stderr: "" });
    const [summary, heading, row = ""] = printed.stdout.split("\n");
    expect(summary).toBe("recipients: 1, read: 1, dead: 0");
    expect(heading?.split(/ {2,}/)).toEqual(["TO", "STATE", "BECAUSE", "SINCE", "LEASES", "LAST SEEN", "REPLIES"]);
    expect(row.split(/ +/)).toEqual([
      name,
      "READ",
      "-",
      expect.stringMatching(TIME),
      "0",
      expect.stringMatching(TIME),
      "-",
    ]);
    const json = await joe(["receipt", id, "--json"]);
    expect(json).toMatchObject({ code: 0, stderr: "" });
    expect(documentOf(json)).toEqual(await bus.ok("GetReceipt", { messageId: id }));
  });
});

describe("agentbus register, agents and remove", () => {
  test("register a name, change its description and leave it alone, in words and with --json", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const found = async () => (await bus.ok("ListAgents", { query: name })).agents;
    const described = await cli(["register", name.toUpperCase(), "-d", "Reviews code", "--url", bus.url]);
    expect(described).toEqual({ code: 0, stdout: `${name} is registered\n`, stderr: "" });
    const json = await cli(["register", name, "--json", "--url", bus.url]);
    expect(json).toMatchObject({ code: 0, stderr: "" });
    const agents = await found();
    expect(agents).toMatchObject([{ name, description: "Reviews code" }]);
    expect(documentOf(json)).toEqual({ agent: agents[0] });
    await cli(["register", name, "-d", "", "--url", bus.url]);
    expect(await found()).toMatchObject([{ name, description: "" }]);
  });

  test("list agents in a table with a word in every cell, and as ListAgents answers them", async () => {
    const bus = await startBus();
    await mail(bus, "jack", "x");
    await bus.ok("RegisterAgent", { agent: "ann", description: "Reviews\ncode" });
    const rowsOf = (stdout: string) =>
      stdout
        .trimEnd()
        .split("\n")
        .map((row) => row.split(/ {2,}/));
    const heading = ["NAME", "UNREAD", "OLDEST UNREAD", "LAST SEEN", "DESCRIPTION"];
    const seen = expect.stringMatching(TIME);
    const ann = ["ann", "0", "-", seen, "Reviews code"];
    const joe = ["joe", "0", "-", seen, "-"];
    const jack = ["jack", "1", seen, "-", "(not registered)"];

    const plain = await cli(["agents", "--url", bus.url]);
    expect(plain).toMatchObject({ code: 0, stderr: "" });
    expect(rowsOf(plain.stdout)).toEqual([heading, ann, joe]);
    expect(rowsOf((await cli(["agents", "--all", "--url", bus.url])).stdout)).toEqual([heading, ann, jack, joe]);
    expect(rowsOf((await cli(["agents", "--query", "review", "--url", bus.url])).stdout)).toEqual([heading, ann]);
    const json = await cli(["agents", "--all", "--json", "--url", bus.url]);
    expect(json).toMatchObject({ code: 0, stderr: "" });
    expect(documentOf(json)).toEqual(await bus.ok("ListAgents", { includeUnregistered: true }));
  });

  test("end with 3 when nobody is registered: nothing on stdout, or an empty list with --json", async () => {
    const { url } = await startBus();
    expect(await cli(["agents", "--url", url])).toEqual({ code: 3, stdout: "", stderr: "no agents\n" });
    const json = await cli(["agents", "--json", "--url", url]);
    expect(json).toMatchObject({ code: 3, stderr: "no agents\n" });
    expect(documentOf(json)).toEqual({ agents: [], nextPageToken: "" });
  });

  test("remove an agent, with --force also one that has mail, and say what it cost", async () => {
    const bus = await startBus();
    for (const agent of ["ann", "jack", "kim"]) await bus.ok("RegisterAgent", { agent });
    for (const to of ["jack", "kim"]) await mail(bus, to, "x");
    const remove = (...words: string[]) => cli(["remove", ...words, "--url", bus.url]);
    expect(await remove("ann")).toEqual({ code: 0, stdout: "ann is removed\n", stderr: "" });
    expect(await remove("jack")).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/^INBOX_NOT_EMPTY/),
    });
    const forced = await remove("jack", "--force");
    expect(forced).toEqual({
      code: 0,
      stdout: "jack is removed; unread messages that are dead letters now: 1\n",
      stderr: "",
    });
    const json = await remove("kim", "--force", "--json");
    expect(json).toMatchObject({ code: 0, stderr: "" });
    expect(documentOf(json)).toEqual({ deadCount: 1 });
    const { agents } = await bus.ok("ListAgents", {});
    expect(agents.map(({ name }: { name: string }) => name)).toEqual(["joe"]);
  });
});

test("agents and receipt gather all pages of a large fleet into one answer", async () => {
  const bus = await startBus();
  const names = Array.from({ length: 1001 }, (_, i) => `agent-${String(i).padStart(4, "0")}`);
  // Sending registers: a thousand agents in one call.
  const requests = names.map((from) => ({ from, to: "sink", subject: "x", body: "" }));
  for (const part of [requests.slice(0, 1000), requests.slice(1000)]) await bus.ok("SendBatch", { requests: part });
  const { id } = await bus.ok("Broadcast", { from: "agent-0000", subject: "x", body: "y", includeSender: true });
  const agents = documentOf(await cli(["agents", "--json", "--url", bus.url]));
  expect(agents.agents.map(({ name }: { name: string }) => name)).toEqual(names);
  expect(agents.nextPageToken).toBe("");
  const receipt = documentOf(await cli(["receipt", id, "--json", "--url", bus.url]));
  expect(receipt).toMatchObject({ recipientCount: 1001, nextPageToken: "" });
  expect(receipt.receipts.map(({ to }: { to: string }) => to)).toEqual(names);
});
