/** Writing while the bus is away, on stdio: kept on this host, never called sent, and sent by itself once the bus is back. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { mail, unread, until } from "../cli/run-cli.ts";
import { spawnBus, startBus, temporaryFolder } from "../start-bus.ts";
import { onStdio } from "./hosts.ts";

const KEPT = /^QUEUED, not sent yet \(.*\)\. It is kept on this host and sent by itself/;

test("a host whose bus is away is told what is queued, in order, and all of it arrives once by itself when the bus is back", {
  timeout: 60_000,
}, async () => {
  const first = await spawnBus();
  const { folder, port } = first;
  const question = await mail(first, "jack", "Are you there?");
  await first.ok("RegisterAgent", { agent: "mia" });
  const outbox = `${temporaryFolder()}/outbox.db`;
  const host = await onStdio(first, { agent: "jack", env: { AGENTBUS_OUTBOX: outbox } });
  await host.call("check_inbox");
  await first.kill("SIGKILL");

  const sent = await host.call("send_message", { to: "joe", subject: "One", body: "1" });
  expect(sent).toMatchObject({ isError: false, data: { status: "queued", waiting: 1 } });
  expect(sent.text).toMatch(KEPT);
  expect(sent.data.note).toMatch(KEPT);
  expect(sent.data).not.toHaveProperty("id");
  const all = await host.call("broadcast", { subject: "Two", body: "2" });
  expect(all).toMatchObject({ isError: false, data: { status: "queued", waiting: 2 } });
  // Whom to answer is known, for the message was shown.
  const reply = await host.call("reply", { message_id: question, body: "Yes." });
  expect(reply).toMatchObject({ isError: false, data: { status: "queued", waiting: 3, acked: false } });
  expect(reply.text).toMatch(KEPT);
  expect(reply.text).toContain("stays unread. Your answer stands: don't repeat it, but ack_messages that one later.");

  const second = await spawnBus({}, { folder, port });
  await until("all is sent", async () => (await unread(second, "joe")).length === 3);
  const { messages } = await second.ok("PullInbox", { agent: "joe" });
  expect(messages.map(({ subject, body, inReplyTo }: any) => [subject, body, inReplyTo])).toEqual([
    ["One", "1", undefined],
    ["Two", "2", undefined],
    ["Re: Task", "Yes.", question],
  ]);
  expect(await unread(second, "mia")).toHaveLength(1);
  expect(await unread(second, "jack")).toEqual([question]);
  const after = await host.call("send_message", { to: "joe", subject: "Four", body: "4" });
  expect(after.data).toMatchObject({ status: "sent" });
  expect(await unread(second, "joe")).toHaveLength(4);
});

test("a reply that was sent is no failure because its ack failed: nobody should answer twice", async () => {
  const bus = await startBus();
  const id = await mail(bus, "jack", "b");
  const url = await refusingAcks(bus.port);
  const host = await onStdio({ url }, { agent: "jack" });
  const { isError, text, data } = await host.call("reply", { message_id: id, body: "Done." });
  expect({ isError, status: data.status, acked: data.acked }).toEqual({ isError: false, status: "sent", acked: false });
  expect(text).toMatch(
    /^Sent to joe, id .* could not be marked as read \(a defect\)\. Your answer stands: don't repeat it/,
  );
  expect(await unread(bus, "joe")).toEqual([data.id]);
  expect(await unread(bus, "jack")).toEqual([id]);
  const ack = await host.call("ack_messages", { message_ids: [id] });
  expect(ack).toMatchObject({ isError: true, text: "a defect", data: { reason: "INTERNAL", message: "a defect" } });
});

/** A bus with a defect: it fails every Ack and passes on all else. Gives its address. */
async function refusingAcks(port: number): Promise<string> {
  const server = http.createServer((request, response) => {
    if (request.url?.endsWith("/Ack")) {
      response.writeHead(500, { "content-type": "application/json" });
      response.end('{"code":"internal","message":"a defect"}');
      return;
    }
    const { method, url: path, headers } = request;
    const onward = http.request({ port, host: "127.0.0.1", method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
