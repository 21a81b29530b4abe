/** What GET / tells an agent is enough to use the bus: its commands are run as they stand, by a shell with a real curl. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { countTokens as countCl100k } from "gpt-tokenizer/encoding/cl100k_base";
import { countTokens as countO200k } from "gpt-tokenizer/encoding/o200k_base";
import { describe, expect, test } from "vitest";
import { startBus, type TestBus } from "../start-bus.ts";
import { tokenOf } from "./bus-tokens.ts";
import { overHttp1 } from "./http-calls.ts";

const MAX_TOKENS = 700;
const PLACEHOLDER = /<[a-z]+>/g;

const run = promisify(execFile);

async function shell(command: string, token = ""): Promise<string> {
  const { stdout, stderr } = await run("sh", ["-c", command], {
    env: { PATH: process.env["PATH"], AGENTBUS_TOKEN: token },
  });
  expect(stderr).toBe("");
  return stdout;
}

const primerOf = (bus: TestBus) => shell(`curl -sS ${bus.url}/`);
const commandsIn = (primer: string) => primer.split("\n").filter((line) => line.startsWith("curl "));

interface Follower {
  readonly name: string;
  readonly peer: string;
  readonly token?: string | undefined;
}

/** Two agents read the page and do what it says, line by line, knowing nothing else; gives the id that each was sent. */
async function follow(primer: string, followers: readonly Follower[]): Promise<Record<string, string>> {
  const mail: Record<string, string> = {};
  for (const command of commandsIn(primer)) {
    for (const { name, peer, token } of followers) {
      const filled: Record<string, string | undefined> = {
        "<me>": name,
        "<peer>": peer,
        "<new>": `${name}-1`,
        "<id>": mail[name],
      };
      const printed = JSON.parse(
        await shell(
          command.replace(PLACEHOLDER, (name) => `${filled[name]}`),
          token,
        ),
      );
      expect(printed, command).not.toHaveProperty("code");
      if ("messages" in printed) mail[name] = printed.messages[0].id;
    }
  }
  return mail;
}

/** The five things that the page teaches, as the bus itself remembers them. */
async function expectAllDone(bus: TestBus, { name, peer }: Follower, id: string, headers: Record<string, string> = {}) {
  const as = async (method: string, request: object) => (await bus.call(method, request, headers)).body;
  const { agents } = await as("ListAgents", {});
  expect(agents).toContainEqual(expect.objectContaining({ name, description: "what I do" }));
  const inbox = (await as("ListMessages", { agent: name, box: "BOX_INBOX" })).messages;
  const sent = (await as("ListMessages", { agent: name, box: "BOX_SENT" })).messages;
  expect(inbox).toContainEqual(expect.objectContaining({ id, from: peer, state: "DELIVERY_STATE_READ" }));
  expect(sent).toHaveLength(2);
  expect(sent).toContainEqual(expect.objectContaining({ to: peer, subject: "Re: Task", inReplyTo: id }));
  expect(sent).toContainEqual(expect.objectContaining({ to: peer, subject: "Task", body: "text" }));
}

describe("the primer alone, given to a script that follows it literally", () => {
  const followers = [
    { name: "ann", peer: "bob" },
    { name: "bob", peer: "ann" },
  ];

  test("completes register, send, pull, reply and ack", async () => {
    const bus = await startBus();
    const mail = await follow(await primerOf(bus), followers);
    for (const follower of followers) await expectAllDone(bus, follower, `${mail[follower.name]}`);
  });

  test("does so on a bus with a shared token, and on one where every agent has its own", async () => {
    const shared = await startBus({ token: "right" });
    const given = followers.map((follower) => ({ ...follower, token: "right" }));
    const mail = await follow(await primerOf(shared), given);
    for (const follower of given) await expectAllDone(shared, follower, `${mail[follower.name]}`);

    const strict = await startBus({ requireAgentTokens: "true" });
    const own = followers.map((follower) => ({ ...follower, token: tokenOf(strict, follower.name)["x-bus-token"] }));
    const letters = await follow(await primerOf(strict), own);
    for (const follower of own) {
      await expectAllDone(strict, follower, `${letters[follower.name]}`, { "x-bus-token": follower.token });
    }
  });

  test("is refused, with nothing changed, where it forgets to fill in what the primer names", async () => {
    const bus = await startBus();
    const primer = await primerOf(bus);
    const told = /^Fill in (.*)$/m.exec(primer)?.[1]?.match(PLACEHOLDER);
    const used = new Set(commandsIn(primer).flatMap((command) => command.match(PLACEHOLDER) ?? []));
    expect([...used].sort()).toEqual([...new Set(told)].sort());
    for (const command of commandsIn(primer)) {
      expect(JSON.parse(await shell(command)).message, command).toMatch(/^INVALID_FIELD: (agent|from) must be /);
    }
    expect((await bus.ok("ListAgents", { includeUnregistered: true })).agents).toEqual([]);
  });

  test("is told what to do by a bus that wants a token and gets none", async () => {
    const bus = await startBus({ token: "right" });
    const [command = ""] = commandsIn(await primerOf(bus));
    expect(JSON.parse(await shell(command)).message).toMatch(/^TOKEN_MISSING: .*X-Bus-Token/);
  });
});

describe("the primer", () => {
  test.each([
    ["by address", "192.168.100.200:18091"],
    ["by IPv6 address", "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:18091"],
    ["by name", "bus.example.com"],
    ["by a long name", "ip-10-128-201-17.eu-central-1.compute.internal.example.com:18091"],
    ["by a name as long as most are kept", `${"q7x9k3v1z5".repeat(6)}.example.com:18091`],
  ])(`has at most ${MAX_TOKENS} tokens on a bus that is found %s`, async (_, host) => {
    const bus = await startBus({ token: "right" });
    const { status, body } = await overHttp1(bus.port)({ path: "/", method: "GET", headers: { host } });
    expect(status).toBe(200);
    const text = body.toString();
    expect(text).toContain(`http://${host}`);
    expect(Math.max(countO200k(text), countCl100k(text))).toBeLessThanOrEqual(MAX_TOKENS);
  });

  test("speaks of a token only where calls need one", async () => {
    expect(await primerOf(await startBus())).not.toMatch(/token/i);
    expect(await primerOf(await startBus({ token: "right" }))).toContain('-H "X-Bus-Token: $AGENTBUS_TOKEN"');
    expect(await primerOf(await startBus({ requireAgentTokens: "true" }))).toContain("This bus needs a token");
  });
});
