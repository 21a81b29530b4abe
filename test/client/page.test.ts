/** The programs of docs/typescript-client.md, as a stranger's project has them: they type-check, and do what the page says. */
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { startBus, type TestBus, temporaryFolder } from "../start-bus.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const page = readFileSync(`${ROOT}/docs/typescript-client.md`, "utf8");
const programs = [...page.matchAll(/```ts\n\/\/ (\S+)\n([\s\S]*?)```/g)].map(([, name = "", text = ""]) => ({
  name,
  text,
}));

let bus: TestBus;
let folder: string;
beforeAll(async () => {
  bus = await startBus({}, temporaryFolder(afterAll), afterAll);
  folder = temporaryFolder(afterAll);
  mkdirSync(`${folder}/node_modules`);
  symlinkSync(ROOT, `${folder}/node_modules/agentbus`);
  writeFileSync(`${folder}/package.json`, '{"type":"module"}');
  for (const { name, text } of programs) writeFileSync(`${folder}/${name}`, text);
});

/** `ended` gives what it printed, once it has ended well. */
function start(name: string, agent: string, env: Record<string, string> = {}) {
  const variables = { AGENTBUS_URL: bus.url, AGENTBUS_AGENT: agent, AGENTBUS_OUTBOX: `${folder}/outbox.db`, ...env };
  const running = promisify(execFile)(process.execPath, [`${folder}/${name}`], {
    env: { ...process.env, ...variables },
  });
  return { child: running.child, ended: running.then(({ stdout }) => stdout) };
}

describe("docs/typescript-client.md", () => {
  test("shows programs that type-check", async () => {
    expect(programs.map(({ name }) => name)).toEqual(["send.ts", "answer.ts", "work.ts", "fleet.ts"]);
    const flags =
      "--ignoreConfig --noEmit --strict --target esnext --module nodenext --skipLibCheck --types node".split(" ");
    const files = programs.map(({ name }) => `${folder}/${name}`);
    const typeRoots = ["--typeRoots", `${ROOT}/node_modules/@types`];
    await promisify(execFile)(process.execPath, [`${ROOT}/node_modules/.bin/tsc`, ...flags, ...typeRoots, ...files]);
  });

  test("shows how to send: both messages are on the bus", async () => {
    await bus.ok("RegisterAgent", { agent: "jack" });
    expect(await start("send.ts", "joe").ended).toMatch(/^on the bus's disk as [0-9a-f-]{36}/);
    const { messages } = await bus.ok("PullInbox", { agent: "jack" });
    expect(messages).toMatchObject([
      { from: "joe", subject: "Review" },
      { to: "ALL", subject: "Freeze" },
    ]);
  });

  test("shows what happens while the bus is away: the message is kept, and the program ends", async () => {
    const away = { AGENTBUS_URL: "http://127.0.0.1:1", AGENTBUS_OUTBOX: `${folder}/away.db` };
    const printed = await start("send.ts", "joe", away).ended;
    expect(printed).toMatch(/^the bus is away; kept on this host as [0-9a-f-]{36}, 1 waiting/);
  });

  test("shows how to read and answer: a SIGTERM ends it, and nothing is left", async () => {
    await bus.ok("Send", { from: "kim", to: "liz", subject: "Task", body: "do it" });
    const { child, ended } = start("answer.ts", "liz");
    const { messages } = await bus.ok("PullInbox", { agent: "kim", waitSeconds: 20 });
    child.kill("SIGTERM");
    expect(await ended).toBe("kim: Task\n");
    expect((await bus.ok("PullInbox", { agent: "liz" })).messages).toEqual([]);
    expect(messages).toMatchObject([{ from: "liz", subject: "Re: Task", body: "Done." }]);
  });

  test("shows how to work: what fails comes again", async () => {
    let times = 0;
    const server = createServer((_, response) => response.writeHead(++times === 1 ? 500 : 200).end("the page"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const body = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    await bus.ok("Send", { from: "moe", to: "nat", subject: "Fetch", body });
    const { child, ended } = start("work.ts", "nat");
    const { messages } = await bus.ok("PullInbox", { agent: "moe", waitSeconds: 20 });
    child.kill("SIGTERM");
    expect(messages).toMatchObject([{ from: "nat", subject: "Re: Fetch", body: "the page" }]);
    expect(await ended).toMatch(/^handler: HTTP 500; again in [12]000 ms\n1 done, 1 failed\n$/);
  });

  test("shows how to call everything else, and how a refusal looks", async () => {
    const printed = await start("fleet.ts", "joe").ended;
    expect(printed).toContain("joe: 0 unread\n");
    expect(printed).toContain("not_found UNKNOWN_MESSAGE undefined []");
  });
});
