/**
 * TLS on the one port: every protocol over it, nothing plain beside it, and certificates that change while it serves or
 * can't be used at all.
 */
import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { cli } from "../cli/run-cli.ts";
import { spawnBus, startBus, temporaryFolder } from "../start-bus.ts";
import { clientsInEveryProtocol } from "./every-protocol.ts";
import { PREFACE } from "./http2-frames.ts";
import { RawSocket, request } from "./raw-socket.ts";
import { type Certificate, makeCertificate, nameShown, shakeHands } from "./tls-material.ts";

/** For what comes in a moment, also on a busy machine. */
const PATIENT = { timeout: 10_000 };

const flagsOf = ({ cert, key }: Pick<Certificate, "cert" | "key">) => ({ tlsCert: cert, tlsKey: key });

describe("a port with a certificate", () => {
  test("chooses HTTP/2 or HTTP/1.1 by ALPN, the first where both are offered, and refuses what is neither", async () => {
    const one = makeCertificate(temporaryFolder(), "one");
    const { port, url } = await startBus(flagsOf(one));
    expect(url).toBe(`https://127.0.0.1:${port}`);
    const chosen = async (...alpn: string[]) => (await shakeHands(port, one.pem, alpn)).alpnProtocol;
    expect(await chosen("h2")).toBe("h2");
    expect(await chosen("http/1.1")).toBe("http/1.1");
    expect(await chosen("h2", "http/1.1")).toBe("h2");
    expect(await chosen("http/1.1", "h2")).toBe("h2");
    await expect(chosen("spdy/3")).rejects.toThrow(/no application protocol/);
    // Who offers none speaks HTTP/1.1.
    const socket = await shakeHands(port, one.pem);
    socket.write(request("GET /healthz"));
    const [first] = (await new Promise<Buffer>((resolve) => socket.once("data", resolve))).toString().split("\r\n");
    expect([socket.alpnProtocol, first]).toEqual([false, "HTTP/1.1 200 OK"]);
  });

  test("serves every protocol over both versions of HTTP to whoever trusts the certificate", async () => {
    const one = makeCertificate(temporaryFolder(), "one");
    const bus = await startBus({ ...flagsOf(one), token: "right" });
    for (const [protocol, client] of Object.entries(clientsInEveryProtocol(bus, { "x-bus-token": "right" }, one.pem))) {
      const { id } = await client.send({ sender: "joe", recipient: "jack", body: protocol });
      const { messages } = await client.pullInbox({ agent: "jack", markRead: true, waitSeconds: 5 });
      expect(messages, protocol).toEqual([expect.objectContaining({ id, body: protocol })]);
    }
    for (const [protocol, client] of Object.entries(clientsInEveryProtocol(bus, {}, one.pem))) {
      await expect(client.listAgents({}), protocol).rejects.toThrow(/TOKEN_MISSING: /);
    }
  });

  test("serves curl, over the version of HTTP that it asks for", async () => {
    const one = makeCertificate(temporaryFolder(), "one");
    const { port } = await startBus(flagsOf(one));
    for (const [flag, version] of Object.entries({ "--http1.1": "1.1", "--http2": "2" })) {
      const data = ["-H", "content-type: application/json", "-d", '{"from":"joe","to":"jack"}'];
      const url = `https://localhost:${port}/agentbus.v1.MessageBus/Send`;
      const write = ["-sS", "--cacert", one.cert, "-o", "/dev/null", "-w", "%{http_version} %{http_code}"];
      const { stdout } = await promisify(execFile)("curl", [flag, ...write, ...data, url], { timeout: 10_000 });
      expect(stdout).toBe(`${version} 200`);
    }
  });

  test("closes on whoever speaks plain to it, or no TLS at all, answers nothing, and serves on", async () => {
    const one = makeCertificate(temporaryFolder(), "one");
    const bus = await spawnBus(flagsOf(one));
    const body = '{"from":"joe","to":"jack"}';
    const json = "Content-Type: application/json\r\n";
    const said = {
      "HTTP/1.1": request("POST /agentbus.v1.MessageBus/Send", body, json),
      "HTTP/2": PREFACE,
      noise: Buffer.alloc(5000, 0x5a),
      "a handshake that is none": Buffer.from("160301000501000001ff", "hex"),
    };
    for (const [what, bytes] of Object.entries(said)) {
      const socket = await RawSocket.open(bus.port);
      expect(await socket.send(bytes).until(({ ended }) => ended, 2000), what).toBe(true);
      expect(socket.received.toString("latin1"), what).not.toMatch(/HTTP|from|jack/);
    }
    for (const leave of ["destroy", "reset"] as const) {
      (await RawSocket.open(bus.port)).send(Buffer.from("1603010200010001fc0303", "hex"))[leave]();
    }
    await expect(fetch(`http://127.0.0.1:${bus.port}/healthz`)).rejects.toThrow();
    const { "Connect JSON over HTTP/1.1": client } = clientsInEveryProtocol(bus, {}, one.pem);
    expect((await client?.listAgents({ includeUnregistered: true }))?.agents).toEqual([]);
    expect(bus.process.exitCode).toBeNull();
    await bus.stop();
    expect(bus.process.exitCode).toBe(0);
  });
});

describe("a certificate's files", () => {
  test("are read again when they change: new connections get the new one, a broken one is logged and not served", async () => {
    const folder = temporaryFolder();
    const [one, two, three] = ["one", "two", "three"].map((name) => makeCertificate(folder, name)) as [
      Certificate,
      Certificate,
      Certificate,
    ];
    const served = { cert: `${folder}/served.cert.pem`, key: `${folder}/served.key.pem` };
    const serve = (part: "cert" | "key", from: string) => {
      // As those who renew certificates do: never half written.
      copyFileSync(from, `${served[part]}.new`);
      renameSync(`${served[part]}.new`, served[part]);
    };
    const all = [one, two, three];
    serve("cert", one.cert);
    serve("key", one.key);
    const bus = await spawnBus(flagsOf(served));
    expect(await nameShown(bus.port, all)).toBe("one");
    const { "Connect JSON over HTTP/2": before } = clientsInEveryProtocol(bus, {}, one.pem);
    await before?.send({ sender: "joe", recipient: "jack" });

    serve("key", two.key);
    serve("cert", two.cert);
    await expect.poll(() => nameShown(bus.port, all), PATIENT).toBe("two");
    expect(bus.log()).toContain("a new certificate is in use");
    // Trusting only the first, this client could not connect again: it is served on the connection it has.
    expect((await before?.pullInbox({ agent: "jack" }))?.messages).toHaveLength(1);

    // Broken in two ways: no certificate, and one that another key belongs to. Each is told once, with the file.
    for (const broken of ["-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n", three.pem]) {
      const told = () => bus.log().split("the changed certificate can't be used; the old one stays").length;
      const toldBefore = told();
      writeFileSync(served.cert, broken);
      await expect.poll(told, PATIENT).toBeGreaterThan(toldBefore);
      expect(await nameShown(bus.port, all)).toBe("two");
    }
    expect(bus.log()).toContain(`--tls-cert ${served.cert}`);
    serve("key", three.key);
    await expect.poll(() => nameShown(bus.port, all), PATIENT).toBe("three");
    expect(bus.log()).not.toContain(readFileSync(three.key, "utf8").split("\n")[1]);
  });

  test("that can't be used end the start with advice that names flag and file, before a store is touched", async () => {
    const folder = temporaryFolder();
    const [one, two] = ["one", "two"].map((name) => makeCertificate(folder, name)) as [Certificate, Certificate];
    const [none, directory, empty] = [`${folder}/none.pem`, `${folder}/directory.pem`, `${folder}/empty.pem`];
    mkdirSync(directory);
    writeFileSync(empty, "");
    const cases: readonly (readonly [flags: string[], code: number, says: string[]])[] = [
      [["--tls-cert", none, "--tls-key", one.key], 1, [`--tls-cert ${none}`, "can't be read", "ENOENT"]],
      [["--tls-cert", one.cert, "--tls-key", none], 1, [`--tls-key ${none}`, "can't be read", "ENOENT"]],
      [["--tls-cert", one.cert, "--tls-key", directory], 1, [`--tls-key ${directory}`, "can't be read"]],
      [
        ["--tls-cert", one.cert, "--tls-key", two.key],
        1,
        [`--tls-cert ${one.cert}`, `--tls-key ${two.key}`, "mismatch"],
      ],
      [["--tls-cert", empty, "--tls-key", one.key], 1, [`--tls-cert ${empty}`, "can't be used"]],
      [["--tls-cert", one.cert, "--tls-key", empty], 1, [`--tls-key ${empty}`, "can't be used"]],
      [["--tls-cert", one.cert], 2, ["--tls-cert", "--tls-key"]],
      [["--tls-key", one.key], 2, ["--tls-cert", "--tls-key"]],
    ];
    const start = async ([flags, code, says]: (typeof cases)[number], store: string) => {
      const ended = await cli(["serve", "--port", "0", "--store", `sqlite:${store}/bus.db`, ...flags]);
      expect([ended.code, ended.stdout], flags.join(" ")).toEqual([code, ""]);
      for (const part of says) expect(ended.stderr, flags.join(" ")).toContain(part);
      expect(ended.stderr, flags.join(" ")).toMatch(/^[^\n]+\n$/);
      expect(existsSync(store), flags.join(" ")).toBe(false);
    };
    await Promise.all(cases.map((one, n) => start(one, `${folder}/store-${n}`)));
  });
});
