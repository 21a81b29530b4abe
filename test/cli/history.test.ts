/** `agentbus history`, `search` and `redrive`: mail that is found again, and mail that is brought back. */
import { describe, expect, test } from "vitest";
import { startBus, type TestBus } from "../start-bus.ts";
import { cli, cliOf, documentOf, mail, newName, sharedBus, unread, until } from "./run-cli.ts";

const shared = sharedBus();
const rowsOf = (stdout: string) =>
  stdout
    .trimEnd()
    .split("\n")
    .map((row) => row.split(/ {2,}/));
const idsOf = (stdout: string) => rowsOf(stdout).map((row) => row[4]);

/** A dead letter of that agent. */
async function deadLetter(bus: TestBus, agent: string): Promise<string> {
  const { id } = await bus.ok("Send", { from: "joe", to: agent, subject: "Lunch", body: "x", ttlSeconds: 1 });
  await until("it is dead", async () => (await bus.ok("ListMessages", { agent, box: "BOX_DEAD" })).messages.length > 0);
  return id;
}

describe("agentbus history", () => {
  test("lists received mail newest first, read or not, and changes none of it", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const first = await mail(bus, name, "one\ntwo");
    const second = await mail(bus, name, "x".repeat(2000), "y".repeat(50));
    await bus.ok("Ack", { agent: name, messageIds: [first] });
    const printed = await cliOf(bus, name)(["history"]);
    expect(printed).toMatchObject({ code: 0, stderr: "" });
    const time = expect.stringMatching(/^20.*Z$/);
    expect(rowsOf(printed.stdout)).toEqual([
      ["TIME", "FROM", "TO", "STATE", "ID", "SUBJECT", "BODY"],
      [time, "joe", name, "UNREAD", second, `${"y".repeat(39)}…`, `${"x".repeat(59)}…`],
      [time, "joe", name, "READ", first, "Task", "one two"],
    ]);
    expect(await unread(bus, name)).toEqual([second]);
  });

  test("prints the ListMessagesResponse with --json", async () => {
    const [bus, name] = [shared(), newName("jack")];
    await mail(bus, name, "x".repeat(2000));
    const printed = await cliOf(bus, name)(["history", "--json"]);
    expect(documentOf(printed)).toEqual(await bus.ok("ListMessages", { agent: name }));
  });

  test("takes 20, or -n, or with --all every message of any number of pages", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const requests = Array.from({ length: 1000 }, () => ({ from: "joe", to: name, subject: "x", body: "" }));
    for (const part of [requests, requests.slice(0, 50)]) await bus.ok("SendBatch", { requests: part });
    const jack = cliOf(bus, name);
    const usual = await jack(["history"]);
    expect(usual.stderr).toBe("older mail is there: raise -n, or give --all\n");
    expect(idsOf(usual.stdout)).toHaveLength(1 + 20);
    expect(idsOf((await jack(["history", "-n", "2"])).stdout)).toEqual(idsOf(usual.stdout).slice(0, 3));
    const all = documentOf(await jack(["history", "--all", "--json"]));
    expect(new Set(all.messages.map(({ id }: { id: string }) => id)).size).toBe(1050);
    expect(all.nextPageToken).toBe("");
  });

  test("finds what was sent, to whom, and since or until when", async () => {
    const [bus, joe, jack, ann] = [shared(), newName("joe"), newName("jack"), newName("ann")];
    const send = async (to: string) => (await bus.ok("Send", { from: joe, to, subject: "x", body: "" })).id;
    const [toJack, toAnn] = [await send(jack), await send(ann)];
    const found = async (...words: string[]) =>
      documentOf(await cliOf(bus, joe)(["history", "--json", ...words])).messages.map(({ id }: { id: string }) => id);
    expect(await found("--sent")).toEqual([toAnn, toJack]);
    expect(await found("--sent", "--peer", ann)).toEqual([toAnn]);
    expect(await found()).toEqual([]);
    expect(await found("--sent", "--since", "1h")).toEqual([toAnn, toJack]);
    expect(await found("--sent", "--until", "1h")).toEqual([]);
    expect(await found("--sent", "--until", "2999-01-01", "--since", "2020-01-01T00:00:00+02:00")).toHaveLength(2);
    expect(await found("--sent", "--since", "2999-01-01")).toEqual([]);
  });

  test("ends with 3 when there is nothing: nothing on stdout, or an empty list with --json", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const stderr = `nothing found in the dead letters of ${name}\n`;
    expect(await cliOf(bus, name)(["history", "--dead"])).toEqual({ code: 3, stdout: "", stderr });
    const json = await cliOf(bus, name)(["history", "--dead", "--json"]);
    expect(json).toMatchObject({ code: 3, stderr });
    expect(documentOf(json)).toEqual({ messages: [], nextPageToken: "" });
  });

  test.each([
    [["--since", "yesterday"], "It must be a time such as 2d (ago), 2026-11-25 or 2026-11-25T08:30:00Z."],
    [["--until", "2026-11-25T08:30"], "It must be a time such as"],
    [["--sent", "--dead"], "'--sent' cannot be used with option '--dead'"],
    [["-n", "5", "--all"], "cannot be used with option '--all'"],
  ])("refuses %j with 2", async (words, complaint) => {
    const ended = await cli(["history", "--as", "jack", ...words]);
    expect(ended).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining(complaint) });
  });
});

describe("agentbus search", () => {
  test("finds mail with all of the words, in any case, on the side that was asked for", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const id = await mail(bus, name, "The release notes are done", "Notes");
    await mail(bus, name, "The release is late");
    const found = async (agent: string, ...words: string[]) => {
      const { messages } = documentOf(await cliOf(bus, agent)(["search", ...words, "--peer", name, "--json"]));
      return messages.map((message: { id: string }) => message.id);
    };
    await until("it is indexed", async () => (await found("joe", "NOTES Release", "--sent")).includes(id));
    expect(await found("joe", "release", "--sent")).toHaveLength(2);
    const printed = await cliOf(bus, name)(["search", "NOTES Release"]);
    expect(idsOf(printed.stdout)).toEqual(["ID", id]);
    expect(await cliOf(bus, name)(["search", "unicorn"])).toMatchObject({ code: 3, stdout: "" });
  });

  test("refuses a text without a word, as the bus does", async () => {
    const ended = await cliOf(shared(), "joe")(["search", "…"]);
    expect(ended).toMatchObject({ code: 1, stderr: expect.stringMatching(/^INVALID_FIELD: .*a word to search for/) });
  });
});

describe("agentbus redrive", () => {
  test("makes the dead letters that are named unread again, and names the others", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const id = await deadLetter(bus, name);
    const redriven = await cliOf(bus, name)(["redrive", id, "nonsense", "--json"]);
    expect(redriven).toMatchObject({ code: 1, stderr: `no dead letters of ${name}: nonsense\n` });
    expect(documentOf(redriven)).toEqual({ redrivenCount: 1, unknownMessageIds: ["nonsense"] });
    expect(await unread(bus, name)).toEqual([id]);
  });

  test("takes all of them without an id, and ends with 3 when there are none", async () => {
    const bus = await startBus();
    const id = await deadLetter(bus, "jack");
    const jack = cliOf(bus, "jack");
    expect(idsOf((await jack(["history", "--dead"])).stdout)).toEqual(["ID", id]);
    expect(await jack(["redrive"])).toEqual({ code: 0, stdout: "1 redriven\n", stderr: "" });
    expect(await unread(bus, "jack")).toEqual([id]);
    expect(await jack(["redrive"])).toEqual({ code: 3, stdout: "0 redriven\n", stderr: "no dead letters of jack\n" });
  });
});
