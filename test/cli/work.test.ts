/** `agentbus work`: what COMMAND is given, and what becomes of its message however it ends. */
import { existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { spawnBus, startBus, temporaryFolder } from "../start-bus.ts";
import { cli, documentOf, mail, newName, sharedBus, startCli, unread, until } from "./run-cli.ts";
import { deliveryOf, startWorker } from "./worker.ts";

const shared = sharedBus();

describe("COMMAND", () => {
  test("gets the body on stdin and the rest in its environment, and its message is done when it ends with 0", async () => {
    const [bus, out] = [await startBus({ token: "right" }), temporaryFolder()];
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const first = await bus.ok("Send", { from: "jack", to: "joe", subject: "Ask", body: "?" });
    const body = `Zeile 1\n"Zeile 2" — 日本語\t\u0001 no newline at the end`;
    const sent = { from: "joe", to: "jack", subject: "Re: $HOME `id`\n", body, inReplyTo: first.id, traceparent };
    const { id, timestamp } = await bus.ok("Send", sent);
    const env = { AGENTBUS_URL: bus.url, AGENTBUS_TOKEN: "right", AGENTBUS_AGENT: "somebody-else" };
    const code = `const fs = require("node:fs"); fs.writeFileSync(${JSON.stringify(`${out}/given`)}, JSON.stringify([fs.readFileSync(0, "utf8"), process.env]))`;
    const ended = await cli(["work", "jack", "--once", "--", process.execPath, "-e", code], { env });
    expect(ended).toEqual({
      code: 0,
      stdout: "",
      stderr: expect.stringMatching(`^done ${id} from joe in \\d+\\.\\d s\n$`),
    });
    expect(await deliveryOf(bus, "jack", id)).toEqual(["READ", 1]);
    const [stdin, given] = JSON.parse(readFileSync(`${out}/given`, "utf8"));
    expect(stdin).toBe(body);
    expect(given).toMatchObject({
      AGENTBUS_MESSAGE_ID: id,
      AGENTBUS_FROM: "joe",
      AGENTBUS_TO: "jack",
      AGENTBUS_SUBJECT: sent.subject,
      AGENTBUS_IN_REPLY_TO: first.id,
      AGENTBUS_TIMESTAMP: timestamp,
      AGENTBUS_DELIVERY_ATTEMPT: "1",
      AGENTBUS_HOPS: "1",
      AGENTBUS_TRACEPARENT: traceparent,
      AGENTBUS_URL: bus.url,
      AGENTBUS_TOKEN: "right",
      AGENTBUS_AGENT: "jack",
    });
  });

  test("gets no variable of another message that does not fit its own", async () => {
    const name = newName("jack");
    await mail(shared(), name, "x");
    const env = { AGENTBUS_IN_REPLY_TO: "of another", AGENTBUS_TRACEPARENT: "of another", AGENTBUS_URL: shared().url };
    const shell = 'test -z "$(printenv AGENTBUS_IN_REPLY_TO AGENTBUS_TRACEPARENT AGENTBUS_TOKEN)"';
    expect((await startWorker(shared(), name, ["--once"], shell, { env }).ended()).code).toBe(0);
  });

  test("is run without a shell, may print, and need not read its stdin", async () => {
    const name = newName("jack");
    await mail(shared(), name, "x".repeat(262_144));
    const words = ["work", name, "--once", "--", "printf", "%s|", "$HOME", "a  b", "--json"];
    expect(await cli(words, { env: { AGENTBUS_URL: shared().url } })).toMatchObject({
      code: 0,
      stdout: "$HOME|a  b|--json|",
    });
  });

  test("may call agentbus itself, as its agent", async () => {
    const name = newName("jack");
    const id = await mail(shared(), name, "x");
    const shell = `"${process.execPath}" "$MAIN" send joe-${name} done -s Done --reply-to "$AGENTBUS_MESSAGE_ID"`;
    const env = { MAIN: new URL("../../dist/cli/main.js", import.meta.url).pathname, AGENTBUS_OUTBOX: "off" };
    expect((await startWorker(shared(), name, ["--once"], shell, { env }).ended()).code).toBe(0);
    const { messages } = await shared().ok("PullInbox", { agent: `joe-${name}` });
    expect(messages).toMatchObject([{ from: name, inReplyTo: id, body: "done" }]);
  });

  test("has the outbox of its worker wherever it goes", async () => {
    const [name, folder] = [newName("jack"), temporaryFolder()];
    await mail(shared(), name, "x");
    const options = { cwd: folder, env: { AGENTBUS_OUTBOX: "outbox.db" } };
    const { stdout } = await startWorker(shared(), name, ["--once"], 'printf %s "$AGENTBUS_OUTBOX"', options).ended();
    expect(stdout).toBe(`${realpathSync(folder)}/outbox.db`);
  });

  test("that fails twice is run again after a growing delay, and its message is done when it succeeds", async () => {
    const name = newName("jack");
    const id = await mail(shared(), name, "x");
    const began = performance.now();
    const worker = startWorker(shared(), name, [], 'test "$AGENTBUS_DELIVERY_ATTEMPT" -ge 3 || exit 75');
    await until("the third run", () => worker.stderr().includes("done"), 20_000);
    const lines = worker.stderr().trimEnd().split("\n");
    expect(lines).toEqual([
      expect.stringMatching(`^failed ${id} from joe, attempt 1: it ended with 75 after \\S+ s; again in [12] s, `),
      expect.stringMatching(`^failed ${id} from joe, attempt 2: it ended with 75 after \\S+ s; again in [234] s, `),
      expect.stringMatching(`^done ${id} from joe in `),
    ]);
    expect(performance.now() - began).toBeGreaterThan(3000);
    await until("the ack", async () => (await deliveryOf(shared(), name, id))[0] === "READ");
    expect(await deliveryOf(shared(), name, id)).toEqual(["READ", 3]);
  });

  test("that always fails makes a dead letter; its sender's bounce is told and never handed to a COMMAND", async () => {
    const bus = await startBus({ maxAttempts: "2" });
    const id = await mail(bus, "jack", "rm -rf");
    const worker = startWorker(bus, "jack", [], "exit 1");
    await until("the dead letter", async () => (await deliveryOf(bus, "jack", id))[0] === "DEAD", 20_000);
    expect(worker.stderr().match(/^failed /gm)).toHaveLength(2);
    await until("the bounce", async () => (await unread(bus, "joe")).length === 1);
    const [bounce] = await unread(bus, "joe");
    const file = `${temporaryFolder()}/ran`;
    const ended = await startWorker(bus, "joe", ["--once"], `touch ${file}`).ended();
    expect(ended).toMatchObject({ code: 0, stdout: "" });
    expect(ended.stderr).toMatch(/^bounce \S+ from bus: Undelivered: Task; .*ATTEMPTS_EXHAUSTED.*\n$/);
    for (const named of [bounce, id]) expect(ended.stderr).toContain(named);
    expect(existsSync(file)).toBe(false);
    expect(await unread(bus, "joe")).toEqual([]);
  });

  test("killed -9 together with its worker leaves its message, which the next worker gets", async () => {
    const [name, folder] = [newName("jack"), temporaryFolder()];
    const id = await mail(shared(), name, "x");
    const worker = startWorker(shared(), name, ["--lease", "2"], `echo $$ > ${folder}/pid; exec sleep 60`);
    await until("COMMAND to run", () => existsSync(`${folder}/pid`) && readFileSync(`${folder}/pid`, "utf8") !== "");
    await worker.kill("SIGKILL");
    process.kill(Number(readFileSync(`${folder}/pid`, "utf8")), "SIGKILL");
    expect(await deliveryOf(shared(), name, id)).toEqual(["LEASED", 1]);
    const next = startWorker(shared(), name, [], "true");
    await until("the next worker", () => next.stderr().includes(`done ${id}`), 15_000);
    await until("the ack", async () => (await deliveryOf(shared(), name, id))[0] === "READ");
    expect(await deliveryOf(shared(), name, id)).toEqual(["READ", 2]);
  });

  test("that runs longer than its lease keeps its message", async () => {
    const name = newName("jack");
    const id = await mail(shared(), name, "x");
    const worker = startWorker(shared(), name, ["--once", "--lease", "2"], "sleep 5");
    await until("the lease", async () => (await deliveryOf(shared(), name, id))[0] === "LEASED");
    const rival = startWorker(shared(), name, [], "false");
    expect((await worker.ended()).code).toBe(0);
    await rival.kill("SIGTERM");
    expect(rival.stderr()).not.toContain("failed");
    expect(await deliveryOf(shared(), name, id)).toEqual(["READ", 1]);
  });

  test("is run for as many messages at once as --concurrency says", async () => {
    const [name, folder] = [newName("jack"), temporaryFolder()];
    for (let n = 0; n < 6; n++) await mail(shared(), name, "x");
    // Each waits for two others that run, and tells how many it saw.
    const shell = `touch ${folder}/$AGENTBUS_MESSAGE_ID; for n in $(seq 200); do test "$(ls ${folder} | wc -l)" -ge 3 && break; sleep 0.05; done; ls ${folder} | wc -l; sleep 0.3; rm ${folder}/$AGENTBUS_MESSAGE_ID`;
    const { code, stdout } = await startWorker(shared(), name, ["--once", "--concurrency", "3"], shell).ended();
    expect(code).toBe(0);
    expect(new Set(stdout.trim().split(/\s+/))).toEqual(new Set(["3"]));
  });
});

describe("agentbus work", () => {
  test("--once ends with 0 when all is done, 1 when COMMAND failed, 3 when there was no mail, and counts with --json", async () => {
    const name = newName("jack");
    const run = (shell: string, ...words: string[]) => startWorker(shared(), name, ["--once", ...words], shell).ended();
    expect(await run("true")).toEqual({ code: 3, stdout: "", stderr: `no unread mail for ${name}\n` });
    for (let n = 0; n < 3; n++) await mail(shared(), name, `${n}`);
    const ended = await run('read n; echo "$n"; test "$n" -ne 1', "--json");
    expect([ended.code, documentOf(ended)]).toEqual([1, { done: 2, failed: 1, lost: 0 }]);
    expect(ended.stderr).toMatch(/^0$/m);
    await mail(shared(), name, "3");
    expect(documentOf(await run("true", "--json"))).toMatchObject({ failed: 0 });
  });

  test("takes no message for a program that is not there, nor for wrong options", async () => {
    const name = newName("jack");
    const id = await mail(shared(), name, "x");
    const env = { AGENTBUS_URL: shared().url };
    const file = `${temporaryFolder()}/file`;
    writeFileSync(file, "no program", { mode: 0o644 });
    for (const words of [["nosuch"], ["/etc"], [file], [], ["true", "--lease", "1"], ["true", "--no"]]) {
      const separator = words.length > 1 ? [] : ["--"];
      const { code, stdout } = await cli(["work", name, ...separator, ...words], { env });
      expect([code, stdout], words.join(" ")).toEqual([2, ""]);
    }
    const line = await cli(["work", name, "--", "echo hi"], { env });
    expect(line.stderr).toMatch(/^there is no program "echo hi" .*: for a line of one, -- sh -c 'echo hi'\n$/);
    expect(await deliveryOf(shared(), name, id)).toEqual(["UNREAD", 0]);
  });

  test("waits for the bus where it is away, and goes on when it is back", async () => {
    const one = await spawnBus();
    const worker = startWorker(one, "jack", [], "true");
    await until("the worker", async () => (await one.ok("ListAgents", {})).agents.length === 1);
    await one.kill("SIGKILL");
    await until("the outage to be told", () => worker.stderr().includes("no mail can be asked for"));
    const two = await spawnBus({}, { folder: one.folder, port: one.port });
    const id = await mail(two, "jack", "x");
    await until("the work", async () => (await deliveryOf(two, "jack", id))[0] === "READ", 20_000);
    expect(worker.stderr().match(/no mail can be asked for/g)).toHaveLength(1);
  });

  test("tells what needs somebody, and ends: a wrong token, or no bus at all with --once", async () => {
    const bus = await startBus({ token: "right" });
    const refused = await startWorker(bus, "jack", [], "true", { env: { AGENTBUS_TOKEN: "wrong" } }).ended();
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/^TOKEN_INVALID: /) });
    const away = await startCli(["work", "jack", "--once", "--url", "http://127.0.0.1:1", "--", "true"]).ended();
    expect(away).toMatchObject({ code: 5, stderr: expect.stringMatching(/^UNREACHABLE: /) });
  });
});
