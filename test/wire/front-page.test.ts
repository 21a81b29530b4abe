/** GET /: who gets the page and who the text, over both protocols, and that no header finds its way into either. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { startBus, temporaryFolder } from "../start-bus.ts";
import { overHttp1, overHttp2 } from "./http-calls.ts";
import { connectError } from "./rpc-forms.ts";
import { makeCertificate } from "./tls-material.ts";

const BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

const get = (headers: Record<string, string> = {}, method = "GET") => ({ path: "/", method, headers });

describe("GET /", () => {
  test("is a page for who prefers HTML and text for everyone else, on HTTP/1.1 and HTTP/2, without a token", async () => {
    const bus = await startBus({ token: "right" });
    for (const call of [overHttp1(bus.port), overHttp2(bus.port)]) {
      for (const accept of [BROWSER, "text/html", "text/plain;q=0.5, text/html"]) {
        const { status, headers, body } = await call(get({ accept }));
        expect([status, headers["content-type"]], accept).toEqual([200, "text/html; charset=utf-8"]);
        expect(body.toString()).toMatch(
          /^<!doctype html>[\s\S]*<pre>agentbus: inboxes for agents[\s\S]*<\/pre>\n<\/html>\n$/,
        );
      }
      for (const accept of [
        "*/*",
        "text/plain",
        "text/*",
        "text/html;q=0.5, text/plain",
        "application/json",
        "!",
        "",
      ]) {
        const { status, headers, body } = await call(get({ accept }));
        expect([status, headers["content-type"]], accept).toEqual([200, "text/plain; charset=utf-8"]);
        expect(body.toString()).toMatch(/^agentbus: inboxes for agents/);
        expect(headers["vary"]).toBe("accept");
      }
      expect((await call(get())).headers["content-type"]).toBe("text/plain; charset=utf-8");
    }
  });

  test("answers HEAD with the same headers and no body, and another method with 405", async () => {
    const bus = await startBus();
    for (const call of [overHttp1(bus.port), overHttp2(bus.port)]) {
      const [whole, head] = [await call(get()), await call(get({}, "HEAD"))];
      expect(head.body).toHaveLength(0);
      const { date: _, ...headers } = whole.headers;
      expect(head.headers).toMatchObject(headers);
      for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
        const reply = await call(get({}, method));
        expect([reply.status, reply.headers["allow"]], method).toEqual([405, "GET, HEAD"]);
        expect(connectError(reply.body.toString()).message).toMatch(/^UNIMPLEMENTED: /);
      }
    }
  });

  test("names the address that was used, with https where TLS is spoken for the bus", async () => {
    const bus = await startBus();
    const told = async (headers: Record<string, string>) =>
      /(https?:\/\/[^/]+)\/agentbus/.exec((await overHttp1(bus.port)(get(headers))).body.toString())?.[1];
    expect(await told({ host: "Bus_1.example:8091" })).toBe("http://Bus_1.example:8091");
    expect(await told({ host: "[::1]:8091" })).toBe("http://[::1]:8091");
    expect(await told({ host: "bus.example", "x-forwarded-proto": "https" })).toBe("https://bus.example");
    expect(await told({ host: "bus.example", "x-forwarded-proto": "https, http" })).toBe("https://bus.example");
    expect(await told({ host: "bus.example", "x-forwarded-proto": "javascript" })).toBe("http://bus.example");

    const { cert, key } = makeCertificate(temporaryFolder(), "one");
    const { port } = await startBus({ tlsCert: cert, tlsKey: key });
    for (const version of ["--http1.1", "--http2"]) {
      const { stdout } = await promisify(execFile)(
        "curl",
        ["-sS", version, "--cacert", cert, `https://localhost:${port}/`],
        { timeout: 10_000 },
      );
      expect(stdout).toContain(`https://localhost:${port}/agentbus`);
    }
  });

  test("shows no Host that a shell or a browser would take for more than a name", async () => {
    const bus = await startBus();
    for (const host of ["$(id)", "a;id", "a'b", "a&b", "a(b)", "a!b", "%24(id)"]) {
      for (const accept of ["*/*", "text/html"]) {
        const { status, body } = await overHttp1(bus.port)(get({ host, accept }));
        expect([status, connectError(body.toString()).message], host).toEqual([
          400,
          expect.stringMatching(/^INVALID_FIELD: the Host header/),
        ]);
      }
    }
  });

  test("is whole in itself: no script, nothing loaded, everything in the text escaped", async () => {
    const bus = await startBus({ token: "right" });
    const { headers, body } = await overHttp1(bus.port)(get({ accept: "text/html" }));
    const html = body.toString();
    expect(headers["content-security-policy"]).toMatch(/^default-src 'none';/);
    expect(headers["x-content-type-options"]).toBe("nosniff");
    expect(html).not.toMatch(/<(script|img|link|iframe|form)|\son\w+=|src=/i);
    const links = [...html.matchAll(/href="([^"]+)"/g)].map(([, link]) => `${link}`);
    expect(links).toEqual(["/openapi.json", "/healthz", "/readyz"]);
    for (const path of links) {
      const { status } = await overHttp1(bus.port)({ path, method: "GET", headers: { "x-bus-token": "right" } });
      expect(status, path).toBe(200);
    }
    const [, shown = ""] = /<pre>([\s\S]*)<\/pre>/.exec(html) ?? [];
    expect(shown).not.toMatch(/[<>"']/);
    const text = (await overHttp1(bus.port)(get())).body.toString();
    expect(shown.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))).toBe(text);
  });

  test("is what a path where nothing is points to", async () => {
    const bus = await startBus();
    const { status, body } = await overHttp1(bus.port)({ path: "/nothing", method: "GET" });
    expect([status, connectError(body.toString()).message]).toEqual([404, expect.stringContaining("GET / explains")]);
  });
});
