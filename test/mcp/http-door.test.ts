/** /mcp as a door of the bus: who may come in and as whom, over which HTTP, and what is refused how. */
import https from "node:https";
import { gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { startBus, temporaryFolder } from "../start-bus.ts";
import { tokenOf } from "../wire/bus-tokens.ts";
import { type Caller, overHttp1, overHttp2, type Reply } from "../wire/http-calls.ts";
import { makeCertificate } from "../wire/tls-material.ts";
import { overHttp, overHttp2025 } from "./hosts.ts";
import { answerIn, initialize, JSON_BOTH, post, postAsNew, toolCall } from "./http-calls.ts";

const AS_JACK = { "x-bus-agent": "jack" };

/** "200", or status and reason of an error in the bus's own form. */
function told({ status, body }: Reply): string {
  return status === 200 ? "200" : `${status} ${JSON.parse(body.toString()).message.split(":")[0]}`;
}

describe("a host's version of the protocol", () => {
  test.each(["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"])("%s is spoken as asked", async (version) => {
    const { port } = await startBus();
    const reply = await post(overHttp1(port), initialize(version), AS_JACK);
    expect(answerIn(reply).result).toMatchObject({
      protocolVersion: version,
      serverInfo: { name: "agentbus" },
      capabilities: { tools: {} },
    });
    const called = await post(overHttp1(port), toolCall("check_inbox"), {
      ...AS_JACK,
      "mcp-protocol-version": version,
    });
    expect(answerIn(called).result.content[0].text).toBe("No unread mail.");
  });

  test("that nobody knows is answered with one that both may know", async () => {
    const { port } = await startBus();
    const reply = await post(overHttp1(port), initialize("1999-01-01"), AS_JACK);
    expect(answerIn(reply).result.protocolVersion).toBe("2025-11-25");
  });
});

describe("who speaks at /mcp", () => {
  test("is the agent of an agent's token, and nobody else", async () => {
    const bus = await startBus({ token: "shared" });
    const call = overHttp1(bus.port);
    const jack = tokenOf(bus, "jack");
    const sent = answerIn(await post(call, toolCall("send_message", { to: "joe", subject: "", body: "b" }), jack));
    const { messages } = await bus.ok("PullInbox", { agent: "joe" });
    expect(messages).toMatchObject([{ id: sent.result.structuredContent.id, from: "jack" }]);

    expect(told(await post(call, toolCall("check_inbox"), { ...jack, "x-bus-agent": "Jack" }))).toBe("200");
    for (const message of [toolCall("check_inbox"), initialize("2025-11-25")]) {
      expect(told(await post(call, message, { ...jack, "x-bus-agent": "joe" }))).toBe("403 NOT_YOUR_NAME");
    }
    const receipt = await post(
      call,
      toolCall("get_receipt", { message_id: (await bus.ok("Send", { from: "joe", to: "mia" })).id }),
      jack,
    );
    expect(answerIn(receipt).result).toMatchObject({ isError: true, structuredContent: { reason: "UNKNOWN_MESSAGE" } });
  });

  test("is who the header X-Bus-Agent names, with the shared or an admin's token", async () => {
    const bus = await startBus({ token: "shared" });
    const call = overHttp1(bus.port);
    for (const token of [{ authorization: "Bearer shared" }, { "x-bus-token": "shared" }, tokenOf(bus, undefined)]) {
      expect(told(await post(call, toolCall("check_inbox"), { ...token, ...AS_JACK }))).toBe("200");
      const nameless = await post(call, toolCall("check_inbox"), token);
      expect(told(nameless)).toBe("400 INVALID_FIELD");
      expect(JSON.parse(nameless.body.toString()).message).toBe(
        "INVALID_FIELD: X-Bus-Agent is missing: name the agent that you are in this header, or use its own token",
      );
      await expect(overHttp2025(bus, { headers: token })).rejects.toThrow(/INVALID_FIELD: X-Bus-Agent is missing/);
    }
  });

  test("needs the token that all calls need, and is refused without it before a body is read", async () => {
    const bus = await startBus({ token: "shared" });
    const call = overHttp1(bus.port);
    expect(told(await post(call, toolCall("check_inbox"), AS_JACK))).toBe("401 TOKEN_MISSING");
    expect(told(await post(call, toolCall("check_inbox"), { ...AS_JACK, "x-bus-token": "wrong" }))).toBe(
      "401 TOKEN_INVALID",
    );
    const strict = await startBus({ token: "shared", requireAgentTokens: "true" });
    const shared = { ...AS_JACK, "x-bus-token": "shared" };
    expect(told(await post(overHttp1(strict.port), toolCall("check_inbox"), shared))).toBe("401 TOKEN_INVALID");
    expect(told(await post(overHttp1(strict.port), toolCall("check_inbox"), tokenOf(strict, "jack")))).toBe("200");
  });

  test("is somebody of this machine where the bus has no token: no other Host, no page of another origin", async () => {
    const { port } = await startBus();
    const call = overHttp1(port);
    expect(told(await post(call, toolCall("check_inbox"), { ...AS_JACK, host: "localhost:1" }))).toBe("200");
    expect(told(await post(call, toolCall("check_inbox"), { ...AS_JACK, host: "rebound.example" }))).toBe(
      "403 FOREIGN_ORIGIN",
    );
    expect(told(await post(call, toolCall("check_inbox"), { ...AS_JACK, origin: "https://evil.example" }))).toBe(
      "403 FOREIGN_ORIGIN",
    );
    expect(told(await post(call, toolCall("check_inbox")))).toBe("400 INVALID_FIELD");
  });
});

test("nothing that the bus's own environment says of calls has a word in what a host asks", async () => {
  const { port } = await startBus();
  onTestFinished(() => void vi.unstubAllEnvs());
  const elsewhere = { TOKEN: "of-another-bus", URL: "no address", AGENT: "joe", OUTBOX: "/nowhere/outbox.db" };
  for (const [name, value] of Object.entries(elsewhere)) vi.stubEnv(`AGENTBUS_${name}`, value);
  const reply = await post(overHttp1(port), toolCall("check_inbox"), AS_JACK);
  expect(told(reply)).toBe("200");
  expect(answerIn(reply).result).toMatchObject({ structuredContent: { messages: [] } });
});

describe("/mcp", () => {
  test("is served over HTTP/2, with prior knowledge", async () => {
    const { port } = await startBus();
    const call = overHttp2(port);
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        post(
          call,
          { ...toolCall("list_agents", { query: `nobody-${i}` }), id: i },
          { ...AS_JACK, "mcp-protocol-version": "2025-11-25" },
        ),
      ),
    );
    expect(replies.map((reply) => answerIn(reply).id)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  test("is served over TLS on an address that the certificate does not name, with a token", async () => {
    const one = makeCertificate(temporaryFolder(), "one");
    const bus = await startBus({ host: "0.0.0.0", token: "shared", tlsCert: one.cert, tlsKey: one.key });
    const call: Caller = ({ path, headers, body }) =>
      new Promise((resolve, reject) => {
        const options = { port: bus.port, host: "127.0.0.1", ca: one.pem, path, method: "POST", headers };
        const request = https.request(options, async (response) => {
          const chunks: Buffer[] = [];
          for await (const chunk of response) chunks.push(chunk as Buffer);
          const { statusCode: status = 0, headers } = response;
          resolve({ status, headers: headers as Record<string, string>, trailers: {}, body: Buffer.concat(chunks) });
        });
        request.on("error", reject);
        request.end(body);
      });
    const token = { ...AS_JACK, authorization: "Bearer shared" };
    const sent = answerIn(
      await post(call, toolCall("send_message", { to: "jack", subject: "", body: "over TLS" }), token),
    );
    const read = answerIn(await post(call, toolCall("check_inbox"), token));
    expect(read.result.structuredContent.messages).toMatchObject([
      { id: sent.result.structuredContent.id, body: "over TLS" },
    ]);
  });

  test("takes POST alone: it has no sessions to resume or to end", async () => {
    const { port } = await startBus();
    for (const call of [overHttp1(port), overHttp2(port)]) {
      // Of a web request no method can be TRACE.
      for (const method of ["GET", "DELETE", "PUT", "TRACE", "HEAD"]) {
        const reply = await call({ path: "/mcp", method, headers: { ...JSON_BOTH, ...AS_JACK } });
        expect([method, reply.status, reply.headers["allow"]]).toEqual([method, 405, "POST"]);
        if (method !== "HEAD") expect(told(reply)).toBe("405 UNIMPLEMENTED");
      }
    }
    expect((await overHttp1(port)({ path: "/mcp/x", headers: AS_JACK })).status).toBe(404);
  });

  test("refuses a body that is none, too large, of too many pieces, or of another kind, and goes on", async () => {
    const { port } = await startBus();
    for (const call of [overHttp1(port), overHttp2(port)]) {
      const send = (body: string | Uint8Array, headers = {}) =>
        call({ path: "/mcp", headers: { ...JSON_BOTH, ...AS_JACK, ...headers }, body });
      expect((await send("{")).status).toBe(400);
      expect((await send("")).status).toBe(400);
      expect((await send("[]")).status).toBe(400);
      expect((await send('{"jsonrpc":"2.0"}')).status).toBe(400);
      expect((await send("{}", { "content-type": "text/plain" })).status).toBe(415);
      expect(told(await send(Buffer.from([0x22, 0xff, 0x22])))).toBe("400 MALFORMED_JSON");
      expect(told(await send(gzipSync("{}"), { "content-encoding": "gzip" }))).toBe("400 MALFORMED_JSON");
      expect(told(await send(`[${"0,".repeat(200_000)}0]`))).toBe("400 MALFORMED_JSON");
      expect(told(await send(" ".repeat(4 * 1024 * 1024 + 1)))).toBe("429 REQUEST_TOO_LARGE");
      expect(answerIn(await post(call, toolCall("check_inbox"), AS_JACK)).result.content[0].text).toBe(
        "No unread mail.",
      );
    }
  });
});

test("a host's trace goes on with what it sends; what is no trace is passed over", async () => {
  const bus = await startBus();
  const call = overHttp1(bus.port);
  const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const message = toolCall("send_message", { to: "joe", subject: "", body: "b" });
  const { params, ...rest } = message;
  for (const traceparent of [trace, "00-none", 7]) {
    await post(call, { ...rest, params: { ...params, _meta: { traceparent } } }, AS_JACK);
    await postAsNew(call, message, { meta: { traceparent }, headers: AS_JACK });
  }
  const { messages } = await bus.ok("PullInbox", { agent: "joe" });
  const without = Array(4).fill(undefined);
  expect(messages.map(({ traceparent }: any) => traceparent)).toEqual([trace, trace, ...without]);
  const reply = toolCall("reply", { message_id: messages[0].id, body: "b" });
  await postAsNew(call, reply, { meta: { traceparent: trace }, headers: { "x-bus-agent": "joe" } });
  await postAsNew(call, toolCall("broadcast", { subject: "", body: "b" }), {
    meta: { traceparent: trace },
    headers: { "x-bus-agent": "joe" },
  });
  const answers = await bus.ok("PullInbox", { agent: "jack" });
  expect(answers.messages.map(({ traceparent }: any) => traceparent)).toEqual([trace, trace]);
});

describe("a tool that the bus refuses", () => {
  test("answers with the bus's own words, reason first, as a result that the model reads", async () => {
    const bus = await startBus({ rateLimit: "1/hour", unknownRecipients: "reject", maxBodyBytes: "10" });
    await bus.ok("RegisterAgent", { agent: "joe" });
    const host = await overHttp(bus, { agent: "jack" });
    const refused = async (tool: string, input: Record<string, unknown>) => {
      const { isError, text, data } = await host.call(tool, input);
      expect([isError, data.message]).toEqual([true, text]);
      expect(text.startsWith(`${data.reason}: `)).toBe(true);
      return data;
    };
    const to = { to: "joe", subject: "" };
    expect(await refused("send_message", { ...to, body: "x".repeat(11) })).toMatchObject({ reason: "BODY_TOO_LARGE" });
    expect(await refused("send_message", { ...to, to: "jo", body: "b" })).toMatchObject({
      reason: "UNKNOWN_AGENT",
      message: expect.stringContaining("did you mean joe?"),
    });
    expect(await refused("send_message", { ...to, to: "j o", body: "b" })).toMatchObject({ reason: "INVALID_FIELD" });
    expect(await refused("reply", { message_id: "no-such", body: "b" })).toMatchObject({ reason: "UNKNOWN_MESSAGE" });
    expect(await refused("get_receipt", { message_id: "no-such" })).toMatchObject({ reason: "UNKNOWN_MESSAGE" });
    expect(await refused("list_agents", { page_token: "made up" })).toMatchObject({ reason: "INVALID_FIELD" });
    expect((await host.call("send_message", { ...to, body: "the one" })).isError).toBe(false);
    expect(await refused("broadcast", { subject: "", body: "b" })).toMatchObject({
      reason: "RATE_LIMITED",
      retry_after_ms: expect.any(Number),
    });
    // Nothing of it went out, and reading stays free.
    expect((await bus.ok("PullInbox", { agent: "joe" })).messages).toHaveLength(1);
    expect((await host.call("check_inbox")).isError).toBe(false);
  });

  test("is told of arguments that it does not have, and of one that is missing", async () => {
    const host = await overHttp(await startBus(), { agent: "jack" });
    for (const input of [
      { to: "joe", subject: "", body: "", cc: "mia" },
      { to: "joe", subject: "" },
      { wait_seconds: 51 },
    ]) {
      const { isError, text } = await host.call("wait_seconds" in input ? "check_inbox" : "send_message", input);
      expect([isError, text]).toEqual([
        true,
        expect.stringMatching(/Invalid arguments for tool \w+: .*(cc|body|wait_seconds)/),
      ]);
    }
    await expect(host.call("no_such_tool")).rejects.toThrow(/no_such_tool/);
  });
});
