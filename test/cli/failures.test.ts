/** How commands end badly: the exit code, one line on stderr, and one document on stdout with --json. */
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { startBus } from "../start-bus.ts";
import { cli, cliOf, DEAD_URL, documentOf, mail, newName, sharedBus, unread } from "./run-cli.ts";

const shared = sharedBus();
const LINE = /^[^\n]+\n$/;

/** A server that is no bus. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  await new Promise((resolve) => server.once("listening", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("a refusal by the bus ends with 1", () => {
  test("and says reason and advice on stderr, nothing on stdout", async () => {
    const ended = await cliOf(shared(), "joe")(["show", "nonsense"]);
    expect(ended).toEqual({ code: 1, stdout: "", stderr: expect.stringMatching(/^UNKNOWN_MESSAGE: [^\n]+\n$/) });
  });

  test("and with --json names code, reason and field", async () => {
    const ended = await cliOf(shared(), "Bad Name")(["inbox", "--json"]);
    expect(ended).toMatchObject({ code: 1, stderr: expect.stringMatching(LINE) });
    const message = ended.stderr.trimEnd();
    expect(documentOf(ended)).toEqual({ code: "invalid_argument", reason: "INVALID_FIELD", message, field: "agent" });
  });

  test("and with --json says when a repeat is useful", async () => {
    const joe = cliOf(await startBus({ rateLimit: "1/hour" }), "joe");
    expect((await joe(["send", "jack", "x", "-s", "y"])).code).toBe(0);
    const refused = await joe(["send", "jack", "x", "-s", "y", "--json"]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/^RATE_LIMITED: /) });
    const document = documentOf(refused);
    expect(document).toMatchObject({ code: "resource_exhausted", reason: "RATE_LIMITED" });
    expect(document.retryAfterMs).toBeGreaterThan(3_000_000);
    expect(document.retryAfterMs).toBeLessThanOrEqual(3_600_000);
  });

  test("also when the token is missing or wrong", async () => {
    const { url } = await startBus({ token: "right" });
    const agents = (...words: string[]) => cli(["agents", "--url", url, ...words]);
    expect(await agents()).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/^TOKEN_MISSING: .*AGENTBUS_TOKEN/),
    });
    const wrong = await agents("--token", "wrong");
    expect(wrong).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/^TOKEN_INVALID: /) });
    expect(wrong.stderr).not.toContain("right");
    expect((await agents("--token", "right")).code).toBe(3);
  });
});

describe("wrong usage ends with 2, one line on stderr and nothing on stdout", () => {
  test.each([
    [["frobnicate"], "unknown command 'frobnicate'. See: agentbus --help"],
    [["sned", "--help"], "unknown command 'sned' (Did you mean send?) See: agentbus --help"],
    [["help", "sned"], "unknown command 'sned' (Did you mean send?) See: agentbus --help"],
    [["--", "sned"], "unknown command 'sned' (Did you mean send?) See: agentbus --help"],
    [["--colour"], "unknown option '--colour'. See: agentbus --help"],
    [
      ["--as", "joe", "agents"],
      "unknown option '--as' before the command: options stand behind it. See: agentbus --help",
    ],
    [
      ["work", "jack", "grep", "-x"],
      "unknown option '-x' (what COMMAND is given stands behind --) See: agentbus work --help",
    ],
    [["inbox", "--lok"], "unknown option '--lok' (Did you mean --look?) See: agentbus inbox --help"],
    [["send", "jack", "x"], "required option '-s, --subject <SUBJECT>' not specified. See: agentbus send --help"],
    [
      ["inbox", "--look", "--lease", "5"],
      "option '--look' cannot be used with option '--lease <SECONDS>'. See: agentbus inbox --help",
    ],
    [
      ["send", "jack", "x", "--subjcet", "y"],
      "unknown option '--subjcet' (Did you mean --subject?) See: agentbus send --help",
    ],
    [["show"], "missing required argument 'ID'. See: agentbus show --help"],
    [
      ["show", "a", "b"],
      "too many arguments for 'show'. Expected 1 argument but got 2: a, b. See: agentbus show --help",
    ],
    [
      ["inbox", "-n", "0"],
      "option '-n, --max <N>' argument '0' is invalid. It must be a whole number from 1 to 1000. See: agentbus inbox --help",
    ],
  ])("%j", async (words, line) => {
    expect(await cli(words)).toEqual({ code: 2, stdout: "", stderr: `${line}\n` });
  });

  test("no command at all, with the help on stderr", async () => {
    expect(await cli([])).toEqual({ code: 2, stdout: "", stderr: expect.stringMatching(/^Usage: agentbus COMMAND/) });
  });

  test("a command behind -- that is not run in silence", async () => {
    expect(await cli(["--", "backup"])).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringMatching(/missing required argument 'FILE'/),
    });
  });

  test("not saying who one is, in every command that needs it", async () => {
    const who = "say who you are: --as NAME or AGENTBUS_AGENT\n";
    const needing = [
      ["send", "jack", "x", "-s", "y"],
      ["broadcast", "x", "-s", "y"],
      ["inbox"],
      ["ack", "id"],
      ["show", "id"],
    ];
    const env = { AGENTBUS_AGENT: "" };
    const all = await Promise.all(needing.map((words) => cli([...words, "--url", DEAD_URL], { env })));
    expect(all).toEqual(needing.map(() => ({ code: 2, stdout: "", stderr: who })));
  });

  test("a document that says the same with --json", async () => {
    const ended = await cli(["inbox", "--json", "--url", DEAD_URL]);
    const message = "say who you are: --as NAME or AGENTBUS_AGENT";
    expect(ended).toMatchObject({ code: 2, stderr: `${message}\n` });
    expect(documentOf(ended)).toEqual({ code: "invalid_argument", reason: "USAGE", message, field: "" });
    const unparsed = await cli(["inbox", "--json", "--lok"]);
    expect(unparsed.code).toBe(2);
    expect(documentOf(unparsed)).toMatchObject({ reason: "USAGE", message: unparsed.stderr.trimEnd() });
  });

  test("a token that no header can carry, without showing it", async () => {
    const ended = await cli(["agents", "--token", "sec ret"]);
    expect(ended).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(/^--token must be .*\n$/) });
    expect(ended.stderr).not.toContain("sec");
    for (const words of [["ask", "jack", "?", "--as", "joe"], ["work", "joe", "--", "true"], ["watch"]]) {
      const [command = "", ...rest] = words;
      expect(await cli([command, "--token", "sec ret", ...rest])).toMatchObject({ code: 2, stderr: ended.stderr });
    }
  });
});

describe("where no bus answers, a command ends with 5", () => {
  test("and names every address it tried, in words and with --json", async () => {
    const other = "http://127.0.0.1:2";
    const ended = await cli(["agents", "--url", `${DEAD_URL},${other}`, "--json"]);
    const tried = `no bus answers at ${DEAD_URL} (ECONNREFUSED), ${other} (ECONNREFUSED)`;
    expect(ended).toMatchObject({ code: 5, stderr: expect.stringMatching(LINE) });
    expect(ended.stderr).toContain(tried);
    expect(documentOf(ended)).toMatchObject({ code: "unavailable", reason: "UNREACHABLE", field: "" });
  });

  test("also where something else answers", async () => {
    const url = await serve((_, response) => response.writeHead(404, { "content-type": "text/html" }).end("<p>no</p>"));
    expect(await cli(["agents", "--url", url])).toMatchObject({
      code: 5,
      stdout: "",
      stderr: expect.stringMatching(/not a bus: HTTP 404/),
    });
  });

  test("and a Send that may have arrived says how to repeat it, which stores it once", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const url = await serve((request) => request.socket.destroy());
    const words = ["send", name, "x", "-s", "y"];
    const lost = await cliOf({ url: `${url},${bus.url}` }, "joe")(words);
    expect(lost).toMatchObject({ code: 5, stdout: "" });
    const [, requestId = ""] = /repeat it with --request-id (\S+) and it is stored once/.exec(lost.stderr) ?? [];
    const repeats = [...words, "--request-id", requestId];
    const [first, second] = [await cliOf(bus, "joe")(repeats), await cliOf(bus, "joe")(repeats)];
    expect([first.code, second.code, second.stdout]).toEqual([0, 0, first.stdout]);
    expect(await unread(bus, name)).toEqual([first.stdout.trim()]);
  });

  test("and a Send that never left says nothing of a repeat", async () => {
    const ended = await cliOf({ url: DEAD_URL }, "joe")(["send", "jack", "x", "-s", "y"]);
    expect(ended).toMatchObject({ code: 5, stdout: "" });
    expect(ended.stderr).not.toContain("request-id");
  });
});

describe("with two addresses, the second one is used", () => {
  test("when nothing listens at the first", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const id = await mail(bus, name, "x");
    const joe = cliOf({ url: `${DEAD_URL},${bus.url}` }, name);
    const printed = await joe(["inbox"]);
    expect(printed).toMatchObject({ code: 0, stdout: expect.stringContaining(id), stderr: "" });
    expect(await unread(bus, name)).toEqual([]);
    expect(await joe(["send", "kim", "x", "-s", "y"])).toMatchObject({ code: 0 });
    expect(await unread(bus, "kim")).toHaveLength(1);
  });

  test("when the first is a proxy without its bus, or a bus that is not available", async () => {
    const [bus, name] = [shared(), newName("jack")];
    await mail(bus, name, "x");
    const proxy = await serve((_, response) =>
      response.writeHead(503, { "content-type": "text/html" }).end("<p>503</p>"),
    );
    const busy = await serve((_, response) =>
      response
        .writeHead(503, { "content-type": "application/json" })
        .end('{"code":"unavailable","message":"BUSY: wait"}'),
    );
    for (const first of [proxy, busy]) {
      expect(await cli(["agents", "--url", `${first},${bus.url}`])).toMatchObject({ code: 0, stderr: "" });
    }
    expect(await cli(["agents", "--url", `${busy},${DEAD_URL}`])).toMatchObject({ code: 5, stderr: "BUSY: wait\n" });
  });
});

test("a command keeps its exit code when nobody reads its complaints", async () => {
  const shut = ["sh", "-c", '"$@" 2>/dev/full', "sh"];
  expect((await cli(["agents", "--url", DEAD_URL], { prefix: shut })).code).toBe(5);
  expect((await cli(["inbox"], { prefix: shut })).code).toBe(2);
});
