/** The job the bus is there for: an agent with nothing but curl and one with a generated gRPC client exchange mail. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { MessageBus } from "#gen/agentbus/v1/message_bus_pb.js";
import { spawnBus, temporaryFolder } from "../start-bus.ts";

const run = promisify(execFile);

async function curl(...args: string[]): Promise<any> {
  const { stdout } = await run("curl", ["-sS", "--fail-with-body", ...args]);
  return JSON.parse(stdout);
}

describe("two agents and one bus", () => {
  test("delegate, work, answer and read over curl and gRPC, across two kill -9", { timeout: 60_000 }, async () => {
    const folder = temporaryFolder();
    const token = "fleet-token";
    let bus = await spawnBus({ token, rateLimit: "10/min" }, { folder });
    const { port, url } = bus;
    const again = async () => {
      await bus.kill("SIGKILL");
      bus = await spawnBus({ token, rateLimit: "10/min" }, { folder, port });
    };
    const header = ["-H", `X-Bus-Token: ${token}`];
    const grpc = createClient(
      MessageBus,
      createGrpcTransport({
        baseUrl: url,
        interceptors: [
          (next) => (request) => {
            request.header.set("x-bus-token", token);
            return next(request);
          },
        ],
      }),
    );

    // joe has curl, and delegates.
    const task = JSON.stringify({ from: "joe", to: "jack", subject: "Task", body: "Handle blog publishing" });
    const sent = await curl(...header, "-d", task, `${url}/api/send`);
    await again();

    // jack has a generated client; it leases the task, dies with the bus, and gets the same task again.
    const pull = { agent: "jack", leaseSeconds: 60, waitSeconds: 10, requestId: "morning-1" };
    const first = await grpc.pullInbox(pull);
    expect(first.messages.map(({ id, body }) => [id, body])).toEqual([[sent.id, "Handle blog publishing"]]);
    await again();
    const repeated = await grpc.pullInbox(pull);
    expect(repeated).toMatchObject({ leaseId: first.leaseId, messages: [{ id: sent.id, deliveryAttempt: 1 }] });

    const reply = {
      sender: "jack",
      recipient: "joe",
      subject: "Re: Task",
      body: "published",
      inReplyTo: sent.id,
      requestId: `reply:${sent.id}`,
    };
    const answered = await grpc.send(reply);
    expect(await grpc.send(reply)).toMatchObject({ id: answered.id, deduplicated: true });
    const ack = { agent: "jack", messageIds: [sent.id], leaseId: first.leaseId as string };
    expect(await grpc.ack(ack)).toMatchObject({ ackedCount: 1, staleMessageIds: [] });

    // joe reads the answer once.
    const read = () => curl(...header, `${url}/api/inbox/joe?mark_read=true`);
    expect((await read()).messages).toMatchObject([
      { id: answered.id, from: "jack", body: "published", inReplyTo: sent.id },
    ]);
    expect((await read()).messages).toEqual([]);
    const receipt = await grpc.getReceipt({ messageId: sent.id });
    expect(receipt).toMatchObject({
      recipientCount: 1,
      readCount: 1,
      receipts: [{ recipient: "jack", replyMessageIds: [answered.id] }],
    });
  });
});
