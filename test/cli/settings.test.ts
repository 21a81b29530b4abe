/** Where the command line takes its settings from. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../start-bus.ts";
import { cli, DEAD_URL, mail, newName, preload, sharedBus, startCli, unread } from "./run-cli.ts";
import { serving } from "./serving.ts";

const shared = sharedBus({ token: "secret" });

describe("a command that calls a bus", () => {
  test("takes url, name and token from its environment", async () => {
    const [bus, name] = [shared(), newName("jack")];
    await mail(bus, name, "x");
    const env = { AGENTBUS_URL: bus.url, AGENTBUS_AGENT: name, AGENTBUS_TOKEN: "secret" };
    expect(await cli(["inbox"], { env })).toMatchObject({ code: 0, stderr: "" });
    expect(await unread(bus, name)).toEqual([]);
  });

  test("lets a flag beat each of them", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const id = await mail(bus, name, "x");
    const env = { AGENTBUS_URL: DEAD_URL, AGENTBUS_AGENT: "kim", AGENTBUS_TOKEN: "wrong" };
    const flags = ["--url", `${bus.url}/`, "--as", name, "--token=secret"];
    expect(await cli(["inbox", ...flags], { env })).toMatchObject({ code: 0, stdout: expect.stringContaining(id) });
  });

  test("takes an empty variable for none, and calls http://127.0.0.1:8091 then", async () => {
    // Nothing is connected to: a bus may well run at the default address of this machine.
    const refuse = `import { Socket } from "node:net";
      Socket.prototype.connect = function () {
        process.nextTick(() => this.destroy(Object.assign(new Error("refused"), { code: "ECONNREFUSED" })));
        return this;
      };`;
    const env = { AGENTBUS_URL: "", AGENTBUS_TOKEN: "" };
    const ended = await cli(["agents"], { env, nodeOptions: preload(refuse) });
    expect(ended).toMatchObject({ code: 5, stderr: expect.stringContaining("http://127.0.0.1:8091 (ECONNREFUSED)") });
  });

  test("does not look at the variables of a bus", async () => {
    const env = { AGENTBUS_URL: shared().url, AGENTBUS_TOKEN: "secret", AGENTBUS_PORT: "nonsense" };
    expect(await cli(["inbox", "--as", newName("jack")], { env })).toMatchObject({ code: 3 });
  });
});

describe("a value that can't be used ends with 2 and names", () => {
  test.each<[string, string[], Record<string, string>, string]>([
    [
      "the flag",
      ["agents", "--url", "ftp://x"],
      {},
      '--url must be http:// or https:// addresses separated by commas, not "ftp://x"',
    ],
    [
      "the variable",
      ["agents"],
      { AGENTBUS_URL: "x" },
      'AGENTBUS_URL must be http:// or https:// addresses separated by commas, not "x"',
    ],
    ["an empty flag", ["inbox", "--as", ""], { AGENTBUS_AGENT: "jack" }, "--as must not be empty"],
    ["a flag of serve", ["serve", "--port", "65536"], {}, '--port must be a whole number from 0 to 65535, not "65536"'],
    [
      "a variable of serve",
      ["serve"],
      { AGENTBUS_LOG_LEVEL: "loud" },
      'AGENTBUS_LOG_LEVEL must be one of trace, debug, info, warn, error, silent, not "loud"',
    ],
    [
      "a store of serve",
      ["serve", "--store", "mysql:x"],
      {},
      '--store must be sqlite:PATH, such as sqlite:./data/agentbus.db, not "mysql:x"',
    ],
    [
      "a store of backup",
      ["backup", "copy.db", "--store", "mysql:x"],
      {},
      '--store must be sqlite:PATH, such as sqlite:./data/agentbus.db, not "mysql:x"',
    ],
  ])("%s", async (_, words, env, line) => {
    expect(await cli(words, { env })).toEqual({ code: 2, stdout: "", stderr: `${line}\n` });
  });
});

describe("agentbus serve", () => {
  test("takes flags before variables", async () => {
    const folder = temporaryFolder();
    const env = {
      AGENTBUS_PORT: "0",
      AGENTBUS_STORE: `sqlite:${folder}/here/bus.db`,
      AGENTBUS_TOKEN: "secret",
      AGENTBUS_RATE_LIMIT: "1/hour",
      AGENTBUS_MAX_BODY_BYTES: "7",
    };
    const url = await serving(startCli(["serve", "--max-body-bytes", "8", "--log-level", "silent"], { env }));
    const send = (body: string) =>
      cli(["send", "jack", body, "-s", "x", "--as", "joe", "--url", url, "--token", "secret"]);
    expect(await send("123456789")).toMatchObject({ code: 1, stderr: expect.stringMatching(/^BODY_TOO_LARGE/) });
    expect(await send("12345678")).toMatchObject({ code: 0 });
    expect(await send("1")).toMatchObject({ code: 1, stderr: expect.stringMatching(/^RATE_LIMITED/) });
    expect(existsSync(join(folder, "here/bus.db"))).toBe(true);
  });

  test("keeps its mail in ./data/agentbus.db by default, in a folder that only its user may enter", async () => {
    const cwd = temporaryFolder();
    await serving(startCli(["serve", "--port", "0"], { cwd, env: { AGENTBUS_STORE: "" } }));
    expect(existsSync(join(cwd, "data/agentbus.db"))).toBe(true);
    expect(statSync(join(cwd, "data")).mode & 0o077).toBe(0);
  });
});
