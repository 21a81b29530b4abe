/** `agentbus mcp` as a process: what it says where, when it ends, and who it needs to be. */
import { describe, expect, test } from "vitest";
import { cli, DEAD_URL, mail, newName, sharedBus, startCli, unread } from "../cli/run-cli.ts";
import { startBus } from "../start-bus.ts";
import { tokenOf } from "../wire/bus-tokens.ts";
import { hosts, onStdio } from "./hosts.ts";
import { initialize, toolCall } from "./http-calls.ts";

const bus = sharedBus({ logLevel: "silent" });
const lines = (...messages: unknown[]) => messages.map((message) => `${JSON.stringify(message)}\n`).join("");

describe("agentbus mcp", () => {
  test("says on stderr, with 2, that it must be told who it is, and writes nothing to stdout", async () => {
    const { code, stdout, stderr } = await cli(["mcp"], { env: { AGENTBUS_URL: bus().url } });
    expect({ code, stdout, stderr }).toEqual({
      code: 2,
      stdout: "",
      stderr: "say who you are: --as NAME or AGENTBUS_AGENT\n",
    });
    const unusable = await cli(["mcp", "--as", "jack", "--token", "two words"]);
    expect({ ...unusable, stderr: "" }).toEqual({ code: 2, stdout: "", stderr: "" });
    expect(unusable.stderr).toMatch(/token must be visible ASCII/);
    expect(unusable.stderr).not.toContain("two words");
  });

  test("writes nothing but JSON-RPC to stdout, whatever comes in, and ends with its input", async () => {
    const jack = newName("jack");
    await mail(bus(), jack, "\u001b[31m\n{not json}\n");
    const stdin = [
      lines(initialize("2025-11-25"), { jsonrpc: "2.0", method: "notifications/initialized" }),
      "this is no JSON\n{}\n[]\n\n",
      lines({ jsonrpc: "2.0", id: 3, method: "no/such" }, toolCall("check_inbox"), {
        ...toolCall("list_agents"),
        id: 5,
      }),
    ].join("");
    const running = startCli(["mcp", "--as", jack, "--url", bus().url], { typing: true });
    running.process.stdin?.write(stdin);
    const answers: any[] = [];
    let text = "";
    for await (const chunk of running.stdout.iterator({ destroyOnReturn: false })) {
      text += String(chunk);
      const whole = text.slice(0, text.lastIndexOf("\n") + 1);
      answers.splice(
        0,
        answers.length,
        ...whole
          .split("\n")
          .slice(0, -1)
          .map((line) => JSON.parse(line)),
      );
      if (answers.length === 4) break;
    }
    expect(answers.map(({ jsonrpc }) => jsonrpc)).toEqual(["2.0", "2.0", "2.0", "2.0"]);
    expect(new Set(answers.map(({ id }) => id))).toEqual(new Set([1, 2, 3, 5]));
    expect(answers.find(({ id }) => id === 3).error.code).toBe(-32601);
    running.process.stdin?.end();
    const { code, stdout } = await running.ended();
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
  });

  test("ends at once when its input does, though a check_inbox still waits", async () => {
    const running = startCli(["mcp", "--as", newName("jack"), "--url", bus().url], { typing: true });
    running.process.stdin?.write(lines(initialize("2025-11-25"), toolCall("check_inbox", { wait_seconds: 50 })));
    await running.stdout.iterator({ destroyOnReturn: false }).next(); // it serves
    const began = performance.now();
    running.process.stdin?.end();
    expect((await running.ended()).code).toBe(0);
    expect(performance.now() - began).toBeLessThan(5000);
  });

  test("speaks for the agent of its token, and tells in the bus's words if it is told to be another", async () => {
    const strict = await startBus({ requireAgentTokens: "true" });
    const { "x-bus-token": token } = tokenOf(strict, "jack");
    const jack = await onStdio(strict, { agent: "jack", token });
    expect(await jack.call("check_inbox")).toMatchObject({ isError: false });
    const posing = await onStdio(strict, { agent: "joe", token });
    expect(await posing.call("check_inbox")).toMatchObject({ isError: true, data: { reason: "NOT_YOUR_INBOX" } });
    const sending = await posing.call("send_message", { to: "mia", subject: "", body: "b" });
    expect(sending).toMatchObject({ isError: true, data: { reason: "NOT_YOUR_NAME" } });
    const stranger = await onStdio(strict, { agent: "jack" });
    expect(await stranger.call("check_inbox")).toMatchObject({ isError: true, data: { reason: "TOKEN_MISSING" } });
  });
});

describe("a host whose bus is away", () => {
  test("is told so by every tool that can't be kept for later, and lists its tools all the same", {
    timeout: 60_000,
  }, async () => {
    const host = await onStdio({ url: DEAD_URL }, { agent: "jack" });
    expect(await host.listTools()).toHaveLength(7);
    const results = await Promise.all([
      host.call("check_inbox"),
      host.call("check_inbox", { message_id: "an-id" }),
      host.call("ack_messages", { message_ids: ["an-id"] }),
      host.call("list_agents"),
      host.call("get_receipt", { message_id: "an-id" }),
      // Its outbox is off, and nobody knows yet whom this one answers.
      host.call("send_message", { to: "joe", subject: "", body: "b" }),
      host.call("reply", { message_id: "an-id", body: "b" }),
    ]);
    for (const { isError, text, data } of results) {
      expect({ isError, reason: data.reason }).toEqual({ isError: true, reason: "UNREACHABLE" });
      expect(text).toMatch(/^UNREACHABLE: no bus answers at http:\/\/127.0.0.1:1 .*try again later/);
    }
  });
});

describe("reply", () => {
  test.each(Object.entries(hosts))("leaves the message unread if asked, on %s", async (_, open) => {
    const jack = newName("jack");
    const id = await mail(bus(), jack, "b");
    const host = await open(bus(), { agent: jack });
    const kept = await host.call("reply", { message_id: id, body: "Working on it.", subject: "Later", ack: false });
    expect(kept).toMatchObject({
      isError: false,
      data: { status: "sent", acked: false, ack_note: "It stays unread." },
    });
    expect(await unread(bus(), jack)).toEqual([id]);
    expect(kept.text).toContain("It stays unread.");
    const sent = await host.call("check_inbox", { message_id: kept.data.id });
    expect(sent.data.messages).toMatchObject([{ to: "joe", subject: "Later", in_reply_to: id }]);
  });

  test("to one's own message is refused, and so is one to the bus", async () => {
    const jack = newName("jack");
    const host = await onStdio(bus(), { agent: jack.toUpperCase() });
    const own = await host.call("send_message", { to: "joe", subject: "", body: "b" });
    const refused = await host.call("reply", { message_id: own.data.id, body: "b" });
    expect(refused).toMatchObject({ isError: true, data: { reason: "INVALID_FIELD" } });
    expect(refused.text).toMatch(/is your own message; use send_message/);

    const removed = newName("removed");
    await bus().ok("RegisterAgent", { agent: removed });
    await host.call("send_message", { to: removed, subject: "S", body: "b" });
    await bus().ok("RemoveAgent", { agent: removed, force: true });
    const [bounce] = (await host.call("check_inbox", { wait_seconds: 10 })).data.messages;
    expect(bounce).toMatchObject({ from: "bus", subject: "Undelivered: S" });
    const toBus = await host.call("reply", { message_id: bounce.id, body: "b" });
    expect(toBus).toMatchObject({ isError: true, data: { reason: "INVALID_FIELD" } });
    expect(await unread(bus(), jack)).toEqual([bounce.id]);
  });
});
