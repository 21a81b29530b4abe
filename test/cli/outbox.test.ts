/** `agentbus outbox`, and what the other commands do with drafts: keep them, say so, and send them when the bus is back. */
import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { DraftHead } from "#dist/client/outbox/draft.js";
import { Drafts } from "#dist/client/outbox/drafts.js";
import { type Flags, startBus, type TestBus, temporaryFolder } from "../start-bus.ts";
import { type CliOptions, cli, DEAD_URL, documentOf, type Ended, preload, startCli, until } from "./run-cli.ts";

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}\n$/;

interface Joe {
  readonly file: string;
  (words: readonly string[], options?: CliOptions): Promise<Ended>;
  /** With an address where nobody listens. */
  away(words: readonly string[], options?: CliOptions): Promise<Ended>;
  drafts(): DraftHead[];
}

/** An agent with an outbox of its own; its bus is known by two addresses, of which the first is never there. */
function joeWith(bus: Pick<TestBus, "url">, file = `${temporaryFolder()}/state/outbox.db`): Joe {
  const env = { AGENTBUS_AGENT: "joe", AGENTBUS_OUTBOX: file };
  const run = (words: readonly string[], options: CliOptions = {}) =>
    cli(words, { ...options, env: { ...env, AGENTBUS_URL: bus.url, ...options.env } });
  return Object.assign(run, {
    file,
    away: (words: readonly string[], options: CliOptions = {}) =>
      cli(words, { ...options, env: { ...env, AGENTBUS_URL: DEAD_URL, ...options.env } }),
    drafts: () => {
      const drafts = new Drafts(file);
      try {
        return drafts.list();
      } finally {
        drafts.close();
      }
    },
  });
}

/** A bus that can be taken away and come back at the same address. */
async function mortalBus() {
  let bus = await startBus();
  const { folder, port, url } = bus;
  return {
    url,
    leave: () => bus.stop(),
    comeBack: async (flags: Flags = {}) => {
      bus = await startBus({ port: String(port), ...flags }, folder);
    },
    subjects: async (agent: string): Promise<string[]> => {
      const { messages } = await bus.ok("PullInbox", { agent, maxMessages: 1000 });
      return messages.map(({ subject }: { subject: string }) => subject);
    },
  };
}

const send = (subject: string, to = "jack") => ["send", to, "x", "-s", subject];

describe("send and broadcast while the bus is away", () => {
  test("end with 4, print no id, and say exactly what became of it", async () => {
    const joe = joeWith({ url: DEAD_URL });
    expect(await joe(send("one"))).toEqual({
      code: 4,
      stdout: "",
      stderr: expect.stringMatching(
        /^QUEUED: not sent, but safe on this host's disk \(no bus answers at .*\)\. Don't send it again: the next call of joe to this bus sends it, or "agentbus outbox flush"\. Waiting now: 1\.\n$/,
      ),
    });
    const queued = await joe([...send("two"), "--json", "--request-id", "mine"]);
    expect(queued.code).toBe(4);
    expect(documentOf(queued)).toEqual({ status: "queued", requestId: "mine", waiting: 2 });
    expect(await joe(["broadcast", "x", "-s", "three", "--include-sender"])).toMatchObject({ code: 4, stdout: "" });
    expect(documentOf(await joe(["outbox", "--json"])).drafts).toMatchObject([
      { id: 1, state: "waiting", to: "jack", subject: "one", from: "joe", bus: DEAD_URL, includeSender: false },
      { id: 2, state: "waiting", to: "jack", subject: "two", requestId: "mine" },
      { id: 3, state: "waiting", to: "ALL", subject: "three", includeSender: true },
    ]);
  });

  test("end with 5 where no draft can be kept, and say why and what to do", async () => {
    const joe = joeWith({ url: DEAD_URL }, "/proc/outbox/outbox.db");
    const ended = await joe([...send("one"), "--json"]);
    expect(ended).toMatchObject({ code: 5, stderr: expect.stringMatching(/^UNREACHABLE: no bus answers at .*\n$/) });
    expect(ended.stderr).toMatch(/; and no draft could be kept: the outbox \/proc\S+ can't be used: .*--outbox FILE/);
    expect(documentOf(ended)).toMatchObject({ code: "unavailable", reason: "UNREACHABLE" });
  });

  test("end with 5 and keep nothing where the outbox is off", async () => {
    const joe = joeWith({ url: DEAD_URL });
    expect(await joe([...send("one"), "--outbox", "off"])).toMatchObject({ code: 5, stdout: "" });
    expect(existsSync(joe.file)).toBe(false);
    expect(await joe(["outbox", "--outbox", "off"])).toMatchObject({ code: 2, stderr: /the outbox is off/ as never });
  });
});

describe("when the bus is back", () => {
  test("the next call of that agent sends what waits, in order, and says so", async () => {
    const bus = await mortalBus();
    const joe = joeWith(bus);
    expect((await joe(send("one"))).stdout).toMatch(ID);
    await bus.leave();
    for (const subject of ["two", "three"]) expect(await joe(send(subject))).toMatchObject({ code: 4 });
    expect(await joe(["inbox"])).toMatchObject({ code: 5, stdout: "", stderr: /^UNREACHABLE/ as never });
    await bus.comeBack();
    expect(await joe(["inbox"])).toMatchObject({
      code: 3,
      stderr: "outbox: sent: 2; waiting: 0\nno unread mail for joe\n",
    });
    expect(await bus.subjects("jack")).toEqual(["one", "two", "three"]);
    expect(await joe(["outbox"])).toEqual({ code: 3, stdout: "", stderr: "no drafts of joe\n" });
  });

  test("a further Send goes behind what waits, and prints its id", async () => {
    const bus = await mortalBus();
    const joe = joeWith(bus);
    await bus.leave();
    expect(await joe(send("one"))).toMatchObject({ code: 4 });
    await bus.comeBack();
    expect(await joe(send("two"))).toMatchObject({ code: 0, stdout: expect.stringMatching(ID) });
    expect(await bus.subjects("jack")).toEqual(["one", "two"]);
  });

  test("a call of another agent leaves it where it is", async () => {
    const bus = await mortalBus();
    const joe = joeWith(bus);
    await bus.leave();
    await joe(send("one"));
    await bus.comeBack();
    expect(await joe(["inbox", "--as", "kim"])).toMatchObject({ code: 3, stderr: "no unread mail for kim\n" });
    expect(joe.drafts()).toHaveLength(1);
  });

  test("a file that is damaged does not keep an agent from its mail, and is told", async () => {
    const bus = await startBus();
    const joe = joeWith(bus, `${bus.folder}/bus.db`); // somebody else's
    expect(await joe(["inbox"])).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(
        /^the outbox \S+ can't be used: it is no outbox of agentbus; .*\nno unread mail for joe\n$/,
      ),
    });
  });
});

describe("agentbus outbox flush", () => {
  test("sends what waits and ends with 0, also when nothing does", async () => {
    const bus = await startBus();
    const joe = joeWith(bus);
    expect(await joe(["outbox", "flush"])).toEqual({ code: 0, stdout: "waiting: 0\n", stderr: "" });
    const nobody = await joe(["outbox", "flush"], { env: { AGENTBUS_AGENT: "" } });
    expect(nobody).toMatchObject({ code: 2, stderr: "say who you are: --as NAME or AGENTBUS_AGENT\n" });
    for (const subject of ["one", "two"]) await joe.away([...send(subject), "--url", DEAD_URL]);
    expect(await joe(["outbox", "flush"])).toMatchObject({ code: 0, stdout: "waiting: 0\n" });
    expect(await joe(["outbox"])).toMatchObject({
      code: 0,
      stderr: `1 2: for another bus than this one; they are sent with --url ${DEAD_URL}\n`,
    });
  });

  test("ends with 5 while the bus is away, with 4 while the bus takes no more, with 1 when something was refused", async () => {
    const first = await mortalBus();
    await first.leave();
    const joe = joeWith(first);
    for (const to of ["jack", "No Name", "jack", "jack"]) await joe(send(to, to));
    const ended = await joe(["outbox", "flush", "--json"]);
    expect(ended).toMatchObject({ code: 5, stderr: expect.stringMatching(/^no bus answers at/) });
    expect(documentOf(ended)).toEqual({
      sent: 0,
      parked: 0,
      setAside: 0,
      expired: 0,
      waiting: 4,
      stopped: { reason: expect.stringMatching(/^no bus answers/), retryAfterMs: null },
    });
    await first.comeBack({ rateLimit: "2/hour" });
    const limited = await joe(["outbox", "flush"]);
    expect(limited).toMatchObject({
      code: 1,
      stdout: "sent: 2, refused and set aside: 1 (see agentbus outbox); waiting: 1\n",
      stderr: expect.stringMatching(/^RATE_LIMITED/),
    });
    expect(await joe(["outbox", "flush"])).toMatchObject({ code: 4, stdout: "waiting: 1\n" });
    const again = documentOf(await joe(["outbox", "flush", "--json"]));
    expect(again.stopped.retryAfterMs).toBeGreaterThan(3_000_000);
  });

  test("with --watch waits as long as the bus says, and sends what comes meanwhile", async () => {
    const bus = await mortalBus();
    await bus.leave();
    const joe = joeWith(bus);
    for (const subject of ["1", "2", "3"]) await joe(send(subject));
    const env = { AGENTBUS_AGENT: "joe", AGENTBUS_OUTBOX: joe.file, AGENTBUS_URL: bus.url };
    const watch = startCli(["outbox", "flush", "--watch"], { env });
    await until("it says that no bus answers", () => watch.stderr().includes("no bus answers"));
    let lines = "";
    watch.stdout.on("data", (chunk: Buffer) => {
      lines += chunk.toString().replace(/^\S+Z /gm, "");
    });
    await bus.comeBack({ rateLimit: "2/s" });
    await until("all three arrive", async () => (await bus.subjects("jack")).length === 3);
    expect(watch.stderr()).toMatch(/RATE_LIMITED/);
    await bus.leave();
    expect(await joe(send("4"))).toMatchObject({ code: 4 });
    await bus.comeBack();
    await until("the fourth arrives", async () => (await bus.subjects("jack")).length === 4);
    const all = /^waiting: 3\nsent: 2; waiting: 1\nsent: 1; waiting: 0\n(waiting: 1\n)?sent: 1; waiting: 0\n$/;
    await until("it has said so", () => all.test(lines));
    await watch.kill("SIGINT");
  });
});

describe("agentbus outbox", () => {
  test("lists state, recipient, age, subject and reason; shows one whole; of every agent if none is named", async () => {
    const joe = joeWith({ url: DEAD_URL });
    await joe(["send", "jack", "a\u001b[31mbody", "-s", "One\u001b[2J", "--ttl", "3600"]);
    await joe(send("Two", "kim"), { env: { AGENTBUS_AGENT: "pat" } });
    const listed = await joe(["outbox"]);
    expect(listed.stdout).toMatch(
      /^ID +STATE +FROM +TO +AGE +SUBJECT +REASON\n1 +waiting +joe +jack +\d+s +One␛\[2J +no bus answers at \S+ \(ECONNREFUSED\)\n$/,
    );
    const everybody = await joe(["outbox"], { env: { AGENTBUS_AGENT: "" } });
    expect(everybody.stdout.split("\n")).toHaveLength(4);
    const shown = await joe(["outbox", "show", "1"]);
    expect(shown).toMatchObject({ code: 0, stderr: "" });
    expect(shown.stdout).toMatch(
      /^Draft: 1\nState: waiting\nBecause: no bus answers .*\nBus: http:\/\/127\.0\.0\.1:1\nFrom: joe\nTo: jack\n/,
    );
    expect(shown.stdout).toMatch(/\nSubject: One␛\[2J\n\na.*body\n--- end of draft 1 ---\n$/);
    expect(documentOf(await joe(["outbox", "show", "1", "--json"]))).toMatchObject({
      draft: { id: 1, body: "a\u001b[31mbody" },
    });
  });

  test("drops and retries drafts, and says which are not there", async () => {
    const bus = await mortalBus();
    const joe = joeWith(bus);
    await bus.leave();
    for (const to of ["No Name", "jack", "jack"]) await joe(send(to, to));
    await bus.comeBack();
    expect(await joe(["outbox", "flush"])).toMatchObject({ code: 1 });
    expect(joe.drafts()).toMatchObject([
      { id: 1, state: "set aside", reason: expect.stringMatching(/^INVALID_FIELD: to must/) },
    ]);
    expect(await joe(["outbox", "retry", "1"])).toEqual({
      code: 0,
      stdout: "1: waiting\n",
      stderr: "sent with the next call of joe, or: agentbus outbox flush --as joe\n",
    });
    expect(await joe(["outbox", "flush"])).toMatchObject({ code: 1 });
    expect(await joe(["outbox", "drop", "1", "9"])).toEqual({
      code: 1,
      stdout: "1: dropped\n",
      stderr: "9: no such draft; agentbus outbox names them\n",
    });
    expect(documentOf(await joe(["outbox", "retry", "1", "--json"]))).toEqual({ drafts: [] });
    expect(joe.drafts()).toEqual([]);
    expect(await joe(["outbox", "show", "1"])).toMatchObject({
      code: 1,
      stderr: "there is no draft 1; agentbus outbox names them\n",
    });
    expect(await joe(["outbox", "drop", "x"])).toMatchObject({
      code: 2,
      stderr: '"x" is no id of a draft; agentbus outbox names them\n',
    });
  });
});

describe("the database driver", () => {
  const without: CliOptions = {
    nodeOptions: preload(`import { registerHooks } from "node:module";
      registerHooks({ resolve(name, context, next) {
        if (name === "better-sqlite3") throw new Error("no driver here");
        return next(name, context);
      } });`),
  };

  test("is not loaded where no draft was ever kept", async () => {
    const joe = joeWith(await startBus());
    expect(await joe(send("one"), without)).toMatchObject({ code: 0, stdout: expect.stringMatching(ID) });
    expect(await joe(["inbox"], without)).toMatchObject({ code: 3 });
    expect(await joe(["outbox"], without)).toMatchObject({ code: 3 });
  });

  test("that is missing fails a Send that would be kept, and says so", async () => {
    const joe = joeWith({ url: DEAD_URL });
    const ended = await joe(send("one"), without);
    expect(ended).toMatchObject({ code: 5, stdout: "" });
    expect(ended.stderr).toMatch(
      /no bus answers at .*; and no draft could be kept: .*driver can't be loaded: no driver here/,
    );
  });
});
