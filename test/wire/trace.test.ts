/**
 * Trace context on its way through the bus: taken from the field or the header of every way to send, handed on with the
 * message in every way to read, and what it is for: a trace of several agents that a collector sees as one.
 */
import { describe, expect, test } from "vitest";
import { startBus, type TestBus } from "../start-bus.ts";
import { clientsInEveryProtocol, type MessageBusClient } from "./every-protocol.ts";
import { type CollectedSpan, startCollector, tracedAgent } from "./trace-collector.ts";

/** For what comes in a moment, also on a busy machine. */
const PATIENT = { timeout: 10_000 };

const HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const FIELD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/** No traceparent by W3C Trace Context. */
const INVALID = [
  "garbage",
  HEADER.toUpperCase(),
  HEADER.slice(0, -1),
  `${HEADER}-00`,
  HEADER.replace(/^00/, "ff"),
  HEADER.replace("0af7651916cd43dd8448eb211c80319c", "0".repeat(32)),
  HEADER.replace("b7ad6b7169203331", "0".repeat(16)),
  `${HEADER}, ${FIELD}`,
];

/** Of the unread mail of jack, in order; then it is read. */
async function arrived(bus: TestBus): Promise<(string | undefined)[]> {
  const { messages } = await bus.ok("PullInbox", { agent: "jack", markRead: true });
  return messages.map(({ traceparent }: { traceparent?: string }) => traceparent);
}

/** Every way to send one message to jack, with these headers and fields. */
const sendings: Readonly<Record<string, (bus: TestBus, headers: Record<string, string>, fields: object) => unknown>> = {
  Send: (bus, headers, fields) => bus.call("Send", { from: "joe", to: "jack", ...fields }, headers),
  SendBatch: (bus, headers, fields) =>
    bus.call("SendBatch", { requests: [{ from: "joe", to: "jack", ...fields }] }, headers),
  Broadcast: (bus, headers, fields) => bus.call("Broadcast", { from: "joe", ...fields }, headers),
  "POST /api/send": (bus, headers, fields) =>
    fetch(`${bus.url}/api/send`, {
      method: "POST",
      headers,
      body: JSON.stringify({ from: "joe", to: "jack", ...fields }),
    }),
};

describe("traceparent", () => {
  test("is the field's, else the header's; an invalid header is passed over, in every way to send", async () => {
    const bus = await startBus();
    await bus.ok("RegisterAgent", { agent: "jack" });
    for (const [way, send] of Object.entries(sendings)) {
      const cases: [expected: string | undefined, header: string | undefined, field: string | undefined][] = [
        [undefined, undefined, undefined],
        [HEADER, HEADER, undefined],
        [FIELD, undefined, FIELD],
        [FIELD, HEADER, FIELD],
        ...INVALID.flatMap((header): [string | undefined, string, string | undefined][] => [
          [undefined, header, undefined],
          [FIELD, header, FIELD],
        ]),
      ];
      for (const [, header, traceparent] of cases) {
        await send(
          bus,
          header === undefined ? {} : { traceparent: header },
          traceparent === undefined ? {} : { traceparent },
        );
      }
      expect(await arrived(bus), way).toEqual(cases.map(([expected]) => expected));
    }
  });

  test("of a batch is each item's own, and the header's where an item has none", async () => {
    const bus = await startBus();
    const item = { from: "joe", to: "jack" };
    await bus.call("SendBatch", { requests: [item, { ...item, traceparent: FIELD }, item] }, { traceparent: HEADER });
    expect(await arrived(bus)).toEqual([HEADER, FIELD, HEADER]);
  });

  test("is taken from the metadata of every protocol, and comes with the message in each", async () => {
    const bus = await startBus();
    for (const [protocol, client] of Object.entries(clientsInEveryProtocol(bus, { traceparent: HEADER }))) {
      await client.send({ sender: "joe", recipient: "jack" });
      await client.sendBatch({ requests: [{ sender: "joe", recipient: "jack", traceparent: FIELD }] });
      await client.broadcast({ sender: "joe" });
      const { messages } = await client.pullInbox({ agent: "jack", leaseSeconds: 60 });
      // jack is registered by the first of these pulls: the broadcast before it passed him by.
      const expected = protocol === "Connect JSON over HTTP/1.1" ? [HEADER, FIELD] : [HEADER, FIELD, HEADER];
      expect(
        messages.map(({ traceparent }) => traceparent),
        protocol,
      ).toEqual(expected);
      await client.ack({ agent: "jack", messageIds: messages.map(({ id }) => id) });
    }
  });

  test("comes with every way to read, with a redelivery and with the bounce", async () => {
    const bus = await startBus({ maxAttempts: "2" });
    const fields = { from: "joe", to: "jack", traceparent: FIELD };
    const { id } = await bus.ok("Send", fields);
    const { messages: looked } = await bus.ok("PullInbox", { agent: "jack" });
    const compat = (await (await fetch(`${bus.url}/api/inbox/jack`)).json()) as { messages: object[] };
    const { message } = await bus.ok("GetMessage", { agent: "joe", messageId: id });
    const { messages: listed } = await bus.ok("ListMessages", { agent: "jack" });
    for (const attempt of [1, 2]) {
      const { messages } = await bus.ok("PullInbox", { agent: "jack", leaseSeconds: 1, waitSeconds: 20 });
      expect(messages[0]).toMatchObject({ traceparent: FIELD, deliveryAttempt: attempt });
    }
    const { messages: bounces } = await bus.ok("PullInbox", { agent: "joe", waitSeconds: 20 });
    for (const one of [looked[0], compat.messages[0], message, listed[0], bounces[0]]) {
      expect(one).toMatchObject({ traceparent: FIELD });
    }
    expect(bounces[0]).toMatchObject({ from: "bus", inReplyTo: id });
  });

  test("is not what a request_id stands for: a repeat in another trace is still a repeat", async () => {
    const bus = await startBus();
    const fields = { from: "joe", to: "jack", requestId: "r" };
    await bus.ok("Send", { ...fields, traceparent: FIELD });
    expect(await bus.ok("Send", { ...fields, traceparent: HEADER })).toMatchObject({ deduplicated: true });
    expect(await arrived(bus)).toEqual([FIELD]);
  });
});

test("a trace of three agents is one in a collector, from the order to the report", async () => {
  const bus = await startBus();
  const collector = await startCollector();
  const agents = ["manager", "specialist", "reviewer"].map((name) => tracedAgent(name, collector));
  const [manager, specialist, reviewer] = agents as [(typeof agents)[0], (typeof agents)[0], (typeof agents)[0]];
  const json = { "content-type": "application/json" };

  // The manager has nothing but HTTP: its context goes in the header.
  await manager.during("delegate", undefined, (traceparent) =>
    fetch(`${bus.url}/agentbus.v1.MessageBus/Send`, {
      method: "POST",
      headers: { ...json, traceparent },
      body: JSON.stringify({ from: "manager", to: "specialist", subject: "Task" }),
    }),
  );

  // The specialist has a gRPC client: its context goes in the metadata.
  const grpc = clientsInEveryProtocol(bus)["gRPC"] as MessageBusClient;
  const [task] = (await grpc.pullInbox({ agent: "specialist", leaseSeconds: 60, waitSeconds: 20 })).messages;
  await specialist.during("work", task?.traceparent, (traceparent) =>
    grpc.send({ sender: "specialist", recipient: "reviewer", subject: "Look at this" }, { headers: { traceparent } }),
  );

  // The reviewer knows the plain-HTTP pair.
  const read = await fetch(`${bus.url}/api/inbox/reviewer?mark_read=true`);
  const [asked] = ((await read.json()) as { messages: { id: string; traceparent?: string }[] }).messages;
  await reviewer.during("review", asked?.traceparent, (traceparent) =>
    fetch(`${bus.url}/api/send`, {
      method: "POST",
      headers: { traceparent },
      body: JSON.stringify({ from: "reviewer", to: "specialist", subject: "Re: Look at this", inReplyTo: asked?.id }),
    }),
  );

  // The specialist answers with the field, in a batch.
  await grpc.ack({ agent: "specialist", messageIds: [task?.id ?? ""] });
  const [opinion] = (await grpc.pullInbox({ agent: "specialist", markRead: true })).messages;
  await specialist.during("report", opinion?.traceparent, (traceparent) =>
    grpc.sendBatch({
      requests: [
        { sender: "specialist", recipient: "manager", subject: "Done", inReplyTo: task?.id ?? "", traceparent },
      ],
    }),
  );

  const { messages: reports } = await bus.ok("PullInbox", { agent: "manager", markRead: true });
  await manager.during("read the report", reports[0].traceparent, async () => undefined);

  for (const agent of agents) await agent.flush();
  await expect.poll(() => collector.spans.length, PATIENT).toBe(5);
  const [root] = collector.spans.filter(({ parentSpanId }) => parentSpanId === "");
  expect(chainFrom(root, collector.spans)).toEqual([
    "manager: delegate",
    "specialist: work",
    "reviewer: review",
    "specialist: report",
    "manager: read the report",
  ]);
  expect(new Set(collector.spans.map(({ traceId }) => traceId)).size).toBe(1);
});

/** Each span with its only child after it. */
function chainFrom(span: CollectedSpan | undefined, all: readonly CollectedSpan[]): string[] {
  if (span === undefined) return [];
  const [child] = all.filter(({ parentSpanId }) => parentSpanId === span.spanId);
  return [`${span.service}: ${span.name}`, ...chainFrom(child, all)];
}
