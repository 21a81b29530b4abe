/** `agentbus doctor`: each thing that can be wrong between here and the bus is named, with what to do. */

import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { busKey } from "#dist/client/outbox/draft.js";
import { Drafts } from "#dist/client/outbox/drafts.js";
import { startBus, temporaryFolder } from "../start-bus.ts";
import { makeCertificate } from "../wire/tls-material.ts";
import { type CliOptions, cli, DEAD_URL, documentOf, mail, newName, sharedBus, until } from "./run-cli.ts";

const shared = sharedBus();
/** One that is not there. */
const outbox = () => join(temporaryFolder(), "not/made/outbox.db");
const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

async function doctor(url: string, words: string[] = [], options: CliOptions = {}) {
  const env = { AGENTBUS_OUTBOX: outbox(), ...options.env };
  const ended = await cli(["doctor", "--json", "--url", url, ...words], { ...options, env });
  const { ok, checks } = documentOf(ended);
  const found: Record<string, string> = {};
  for (const { name, status, message } of checks) found[name] = `${status}: ${message}`;
  return { code: ended.code, ok, found };
}

async function listening(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once("listening", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const serving = (listener: RequestListener) => listening(createServer(listener));

/** In front of a bus, as a proxy that changes the heading and text of what a GET is answered. */
const inFrontOf = (url: string, change: (headers: Record<string, string>, text: string) => string) =>
  serving(async (request, response) => {
    const { method = "GET", headers } = request;
    const body = method === "POST" ? await buffer(request) : undefined;
    const type = { "content-type": headers["content-type"] ?? "" };
    const answer = await fetch(`${url}${request.url}`, { method, headers: type, ...(body && { body }) });
    const got = Buffer.from(await answer.arrayBuffer());
    const changed: Record<string, string> = { "content-type": answer.headers.get("content-type") ?? "" };
    const text = method === "POST" ? got : change(changed, got.toString());
    response.writeHead(answer.status, changed).end(text);
  });

describe("agentbus doctor", () => {
  test("finds nothing wrong with a bus that is well, and ends with 0", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const file = outbox();
    const ended = await cli(["doctor", "--as", name, "--url", bus.url, "--outbox", file]);
    expect(existsSync(join(file, "../.."))).toBe(false);
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(ended.stdout.replace(/\d+ ms/, "N ms")).toBe(
      [
        `ok    bus ${bus.url}: connects in N ms`,
        "ok    store: the bus can read and write its store",
        `ok    version: ${version}, here and there`,
        "ok    clock: within 5 s of the bus's",
        "ok    token: the bus asks for none",
        `ok    agent: ${name} is not registered yet: its first send or inbox does that`,
        `ok    outbox: ${file}: no drafts`,
        `ok    node: ${process.versions.node}, ${process.platform} ${process.arch}`,
        "ok    proxy: none in the environment",
        "",
      ].join("\n"),
    );
  });

  test("counts what waits and warns of dead letters", async () => {
    const [bus, name] = [shared(), newName("jack")];
    await bus.ok("RegisterAgent", { agent: name });
    await mail(bus, name, "x");
    expect((await doctor(bus.url, ["--as", name])).found["agent"]).toBe(
      `ok: ${name} is registered; unread: 1, dead: 0`,
    );
    await bus.ok("Send", { from: "joe", to: name, subject: "x", body: "", ttlSeconds: 1 });
    const dead = { agent: name, box: "BOX_DEAD" };
    await until("it is dead", async () => (await bus.ok("ListMessages", dead)).messages.length > 0);
    const { code, ok, found } = await doctor(bus.url, ["--as", name]);
    expect({ code, ok }).toEqual({ code: 0, ok: true });
    expect(found["agent"]).toMatch(/^warn: .*dead: 1; see agentbus history --dead, then agentbus redrive$/);
  });

  test("says whether the token is missing, wrong, for all or for one agent", async () => {
    const bus = await startBus({ token: "secret" });
    const store = `sqlite:${bus.folder}/bus.db`;
    const of = async (...words: string[]) => {
      const { code, found } = await doctor(bus.url, words);
      return [code, found["token"], found["agent"]];
    };
    expect(await of()).toEqual([1, expect.stringMatching(/^fail: the bus wants one and there is none/), undefined]);
    expect(await of("--token", "x")).toEqual([1, expect.stringMatching(/^fail: TOKEN_INVALID: /), undefined]);
    const shared = await of("--token", "secret");
    expect(shared).toEqual([0, "ok: accepted; it may act as any agent", expect.stringMatching(/^warn: no name/)]);
    const { token } = documentOf(await cli(["token", "create", "--agent", "jack", "--json", "--store", store]));
    await until("it is known", async () => (await bus.call("ListAgents", {}, { "x-bus-token": token })).status === 200);
    const accepted = "ok: accepted; it speaks for jack alone";
    expect(await of("--token", token, "--as", "jack")).toEqual([0, accepted, expect.stringMatching(/^ok: jack/)]);
    expect(await of("--token", token, "--as", "ann")).toEqual([1, accepted, expect.stringMatching(/^fail: NOT_YOUR_/)]);
  });

  test("says of an address why no bus answers there, and ends with 5", async () => {
    const silent = await listening(createTcpServer((socket) => void socket.on("error", () => {})));
    const closing = await listening(createTcpServer((socket) => void socket.resetAndDestroy()));
    const other = await serving((_, response) => void response.end("<h1>It works</h1>"));
    const troubles: [string, RegExp][] = [
      [DEAD_URL, /nothing listens there.*ECONNREFUSED/],
      ["http://no-such-host.invalid:8091", /(not known|DNS of this host).*(ENOTFOUND|EAI_AGAIN)/],
      [silent, /a firewall is between.*ETIMEDOUT/],
      [closing, /it hung up: it may speak TLS/],
      [other, /answers 200 at \/healthz, but not as a bus does/],
      [shared().url.replace("http:", "https:"), /it (does|may) not speak TLS/],
    ];
    const url = troubles.map(([address]) => address).join(",");
    const { code, ok, found } = await doctor(url);
    expect({ code, ok }).toEqual({ code: 5, ok: false });
    for (const [address, words] of troubles)
      expect(found[`bus ${address}`]).toMatch(new RegExp(`^fail: .*${words.source}`));
    expect(Object.keys(found)).toEqual([...troubles.map(([address]) => `bus ${address}`), "outbox", "node", "proxy"]);
  });

  test("only warns of an address while another one answers", async () => {
    const { code, found } = await doctor(`${DEAD_URL},${shared().url}`);
    expect(code).toBe(0);
    expect(found[`bus ${DEAD_URL}`]).toMatch(/^warn: /);
    expect(found[`bus ${shared().url}`]).toMatch(/^ok: /);
  });

  test("warns of a clock that is more than 5 s off, of another version and of proxies", async () => {
    const ahead = await inFrontOf(shared().url, (headers, text) => {
      headers["date"] = new Date(Date.now() + 90_000).toUTCString();
      return text.replace(version, "9.9.9");
    });
    const env = { HTTP_PROXY: "http://proxy:3128", no_proxy: "localhost" };
    const { code, found } = await doctor(ahead, [], { env });
    expect(code).toBe(0);
    expect(found["clock"]).toMatch(/^warn: 1 min behind the bus's/);
    expect(found["version"]).toBe(`warn: ${version} here, 9.9.9 there: use the same`);
    expect(found["proxy"]).toMatch(/^warn: HTTP_PROXY is set: .* except to localhost$/);
    const behind = await inFrontOf(shared().url, (headers, text) => {
      headers["date"] = new Date(Date.now() - 60_000).toUTCString();
      return text;
    });
    expect((await doctor(behind)).found["clock"]).toMatch(/^warn: .* ahead of the bus's/);
  });

  test("says whether it trusts the certificate, and until when that is good", async () => {
    const { cert, key } = makeCertificate(temporaryFolder(), "bus");
    const { url } = await startBus({ tlsCert: cert, tlsKey: key });
    const unknown = await doctor(url);
    expect(unknown.code).toBe(5);
    expect(unknown.found[`bus ${url}`]).toMatch(
      /^fail: its certificate is its own: trust it with NODE_EXTRA_CA_CERTS=FILE/,
    );
    const trusting = await doctor(url, [], { env: { NODE_EXTRA_CA_CERTS: cert } });
    expect(trusting.found).toMatchObject({ token: "ok: the bus asks for none" });
    expect(trusting.found[`bus ${url}`]).toMatch(/certificate until 20\d\d-\d\d-\d\d/);
  });

  test("counts the drafts of this host, and fails where none could be kept", async () => {
    const file = join(temporaryFolder(), "outbox.db");
    const found = async (AGENTBUS_OUTBOX: string) => {
      const { code, found } = await doctor(shared().url, [], { env: { AGENTBUS_OUTBOX } });
      return `${code} ${found["outbox"]}`;
    };
    const queued = await cli(["send", "jack", "x", "-s", "y", "--as", "joe", "--url", DEAD_URL, "--outbox", file]);
    expect(queued.code).toBe(4);
    expect(await found(file)).toMatch(
      /^0 warn: .*drafts that wait: 1, that will not be sent: 0; agentbus outbox flush/,
    );
    expect(await found("off")).toMatch(/^0 warn: off/);
    const empty = join(temporaryFolder(), "empty.db");
    writeFileSync(empty, "");
    expect(await found(empty)).toMatch(/^0 ok: .*no drafts/);
    expect(statSync(empty).size).toBe(0);
    const wrong = join(temporaryFolder(), "file");
    writeFileSync(wrong, "x".repeat(5000));
    expect(await found(wrong)).toMatch(/^1 fail: .*it is damaged/);
    expect(await found(join(wrong, "outbox.db"))).toMatch(/^1 fail: .*ENOTDIR.*see that this user may write there/);
    expect(await found("/proc/agentbus/outbox.db")).toMatch(/^[01] (fail|warn): /);
  });

  test("sends nothing: a draft for this bus waits on", async () => {
    const [bus, name, file] = [shared(), newName("joe"), join(temporaryFolder(), "outbox.db")];
    const drafts = new Drafts(file);
    onTestFinished(() => drafts.close());
    const letter = { sender: name, recipient: "jack", subject: "x", body: "", requestId: "one" };
    const why = { now: Date.now(), reason: "", mayHaveArrived: false };
    drafts.keep({ bus: busKey([bus.url]), sender: name }, letter, why);
    const { found } = await doctor(bus.url, ["--as", name], { env: { AGENTBUS_OUTBOX: file } });
    expect(found["outbox"]).toMatch(/^warn: .*drafts that wait: 1/);
    expect(drafts.list()).toHaveLength(1);
  });

  test("fails where the bus is not ready", async () => {
    const sick = await serving((request, response) => {
      if (request.url === "/healthz") response.end(JSON.stringify({ status: "ok", version }));
      else if (request.url === "/readyz") response.writeHead(503).end(JSON.stringify({ status: "storage failed" }));
      else response.writeHead(404).end();
    });
    const { code, found } = await doctor(sick);
    expect(code).toBe(1);
    expect(found["store"]).toMatch(/^fail: the bus is not ready: storage failed/);
  });
});

test("GET /healthz tells the version of the bus without a token", async () => {
  const bus = await startBus({ token: "secret" });
  expect(await (await fetch(`${bus.url}/healthz`)).json()).toEqual({ status: "ok", version });
});
