/** `agentbus serve` and `agentbus backup`: the commands that run where the mail is kept. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { spawnBus, startBus, temporaryFolder } from "../start-bus.ts";
import { cli, documentOf, mail, startCli, unread, until } from "./run-cli.ts";
import { serving } from "./serving.ts";

const LINE = /^[^\n]+\n$/;
const STOP_MS = 5000;

describe("agentbus serve", () => {
  test("ends within 5 s of SIGTERM with 0, and answers a waiting pull empty", async () => {
    const bus = await spawnBus();
    const pull = bus.call("PullInbox", { agent: "jack", waitSeconds: 50 });
    await until("the pull to wait", async () => (await bus.ok("ListAgents", {})).agents.length === 1);
    const began = performance.now();
    await bus.kill("SIGTERM");
    expect(performance.now() - began).toBeLessThan(STOP_MS);
    expect(bus.process.exitCode).toBe(0);
    expect(await pull).toMatchObject({ status: 200, body: { messages: [], hasMore: false } });
    expect(bus.log()).toContain('"waiting":1');
  });

  test("ends with 0 on SIGINT, and keeps its mail for the next one", async () => {
    const bus = await spawnBus();
    const id = await mail(bus, "jack", "x");
    await bus.kill("SIGINT");
    expect(bus.process.exitCode).toBe(0);
    expect(await unread(await startBus({}, bus.folder), "jack")).toEqual([id]);
  });

  test("ends at once on a second signal, although a call is under way", async () => {
    const bus = await spawnBus();
    const half = connect(bus.port, "127.0.0.1", () =>
      half.write("POST /api/send HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{"),
    );
    half.on("error", () => {});
    onTestFinished(() => void half.destroy());
    await new Promise((resolve) => half.once("connect", resolve));
    // Answered behind the half request: the bus has that one too by now.
    await bus.ok("ListAgents", {});
    bus.process.kill("SIGTERM");
    await until("the bus to drain", () => bus.log().includes("agentbus stops"));
    expect(bus.process.exitCode).toBeNull();
    await bus.kill("SIGTERM");
    expect(bus.process.exitCode).toBe(1);
  });

  test("prints where it listens, one line in words or one document with --json, and logs on stderr", async () => {
    const words = ["serve", "--port", "0", "--store", `sqlite:${temporaryFolder()}/bus.db`];
    const plain = startCli(words);
    const url = await serving(plain);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    plain.process.kill("SIGTERM");
    expect(await plain.ended()).toMatchObject({ code: 0, stdout: "", stderr: expect.stringContaining(url) });

    const json = startCli([...words, "--json"]);
    await until("the bus to listen", () => json.stdout.readableLength > 0);
    json.process.kill("SIGTERM");
    const ended = await json.ended();
    expect(ended.code).toBe(0);
    expect(documentOf(ended)).toEqual({ url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) });
  });

  test("ends with 1 and one line when the port is taken, and leaves the store to others", async () => {
    const { port } = await startBus();
    const folder = temporaryFolder();
    const words = ["serve", "--port", String(port), "--store", `sqlite:${folder}/bus.db`];
    const line = `port ${port} on 127.0.0.1 is taken; stop what uses it, or choose another with --port`;
    expect(await cli(words)).toEqual({ code: 1, stdout: "", stderr: `${line}\n` });
    const json = await cli([...words, "--json"]);
    expect(json).toMatchObject({ code: 1, stderr: `${line}\n` });
    expect(documentOf(json)).toEqual({ code: "internal", reason: "LOCAL", message: line, field: "" });
    await startBus({}, folder);
  });

  test("ends with 1 and one line when another bus has the store, and leaves that one alone", async () => {
    const bus = await startBus();
    const words = ["serve", "--port", "0", "--store", `sqlite:${bus.folder}/bus.db`];
    const ended = await cli(words);
    expect(ended).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/bus\.db is served by another agentbus process/),
    });
    expect(ended.stderr).toMatch(LINE);
    expect(await unread(bus, "jack")).toEqual([]);
  });

  test.each(["0.0.0.0", "::", "192.0.2.1"])(
    "ends with 2 on the open address %s without a token, before it touches a store",
    async (host) => {
      const cwd = temporaryFolder();
      const ended = await cli(["serve", "--host", host, "--port", "0"], { cwd });
      expect(ended).toEqual({
        code: 2,
        stdout: "",
        stderr: expect.stringMatching(/there is no token; set AGENTBUS_TOKEN/),
      });
      expect(ended.stderr).toMatch(LINE);
      expect(existsSync(join(cwd, "data"))).toBe(false);
    },
  );
});

describe("agentbus backup", () => {
  test("copies the mail while the bus serves and takes more; the copy opens as a bus", async () => {
    const bus = await startBus();
    const before = [await mail(bus, "jack", "one"), await mail(bus, "jack", "two")];
    const copied = temporaryFolder();
    let done = false;
    const later: string[] = [];
    const sending = (async () => {
      while (!done) later.push(await mail(bus, "jack", "later"));
    })();
    const ended = await cli(["backup", `${copied}/bus.db`, "--store", `sqlite:${bus.folder}/bus.db`]);
    done = true;
    await sending;
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(ended.stdout).toMatch(new RegExp(`^${copied}/bus\\.db: [1-9]\\d* bytes in \\d+ ms\n$`));

    const all = [...before, ...later];
    expect(await unread(bus, "jack")).toEqual(all.slice(0, 1000));
    const copy = await unread(await startBus({}, copied), "jack");
    expect(copy.slice(0, 2)).toEqual(before);
    expect(copy).toEqual(all.slice(0, copy.length)); // one instant: no gap
  });

  test("names file, bytes and milliseconds with --json", async () => {
    const bus = await startBus();
    const file = join(temporaryFolder(), "copy.db");
    const ended = await cli(["backup", file, "--json"], { env: { AGENTBUS_STORE: `sqlite:${bus.folder}/bus.db` } });
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(documentOf(ended)).toEqual({ file, bytes: readFileSync(file).length, milliseconds: expect.any(Number) });
  });

  test("ends with 1 rather than overwrite a file", async () => {
    const bus = await startBus();
    const file = join(bus.folder, "bus.db");
    const words = ["backup", file, "--store", `sqlite:${file}`];
    expect(await cli(words)).toEqual({
      code: 1,
      stdout: "",
      stderr: `${file} exists; a backup never overwrites, name another file\n`,
    });
    await mail(bus, "jack", "x");
  });

  test("ends with 1 where there is no store, and leaves nothing behind", async () => {
    const cwd = temporaryFolder();
    const ended = await cli(["backup", "copy.db", "--store", "sqlite:none.db"], { cwd });
    expect(ended).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/^there is no database at .*none\.db; .*\n$/),
    });
    expect([existsSync(join(cwd, "copy.db")), existsSync(join(cwd, "none.db"))]).toEqual([false, false]);
  });

  test("is for its user alone, and needs a folder that is there", async () => {
    const bus = await startBus();
    const folder = temporaryFolder();
    const backup = (file: string) => cli(["backup", join(folder, file), "--store", `sqlite:${bus.folder}/bus.db`]);
    expect((await backup("copy.db")).code).toBe(0);
    expect(statSync(join(folder, "copy.db")).mode & 0o777).toBe(0o600);
    expect(await backup("none/copy.db")).toEqual({
      code: 1,
      stdout: "",
      stderr: `there is no folder ${folder}/none; make it, or name another\n`,
    });
  });
});

describe("agentbus token, where there is no store,", () => {
  test("lists and revokes nothing, and makes none", async () => {
    const cwd = temporaryFolder();
    for (const words of [["list"], ["revoke", "3f9a01c2"]]) {
      const ended = await cli(["token", ...words, "--store", "sqlite:none.db"], { cwd });
      expect(ended).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/^there is no database at /) });
    }
    expect(existsSync(join(cwd, "none.db"))).toBe(false);
  });

  test("makes one for a new token, and says so: it may be another than the bus's", async () => {
    const cwd = temporaryFolder();
    const create = () => cli(["token", "create", "--admin", "--store", "sqlite:none.db"], { cwd });
    const said = new RegExp(`^there was no database at ${cwd}/none\\.db: it is made`);
    expect(await create()).toMatchObject({ code: 0, stderr: expect.stringMatching(said) });
    expect(await create()).toMatchObject({ code: 0, stderr: expect.not.stringMatching(said) });
  });
});
