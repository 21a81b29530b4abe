/**
 * An agent in a page over Connect or gRPC-Web: sends a task and two notes, works on its inbox under leases, answers,
 * acknowledges. What it shows, a line for each step with tabs in between, is told in the README one folder up. Who and
 * where is in the page's address, behind #: url, token, agent, peer, protocol (connect or grpc-web).
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { MessageBus, type PullInboxResponse, SendRequestSchema } from "./gen/agentbus/v1/message_bus_pb.ts";
import type { Message } from "./gen/agentbus/v1/message_pb.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.ts";

// Behind #, not ?: a browser sends it to nobody.
const given = new URLSearchParams(location.hash.slice(1));
const me = given.get("agent") ?? "bea";
const peer = given.get("peer") ?? me;
const token = given.get("token");
const TEXT = "Grüße · 日本語 · 🚀";
/** A task and two notes from another agent, and the answer to its own task. */
const EXPECTED = 4;
/** A call's deadline: longer than any wait below. */
const TIMEOUT_MS = 40_000;

const withToken: Interceptor = (next) => (request) => {
  if (token !== null) request.header.set("x-bus-token", token);
  return next(request);
};
const createTransport = given.get("protocol") === "grpc-web" ? createGrpcWebTransport : createConnectTransport;
const bus = createClient(
  MessageBus,
  createTransport({
    baseUrl: given.get("url") ?? "http://127.0.0.1:8091",
    interceptors: [withToken],
    defaultTimeoutMs: TIMEOUT_MS,
  }),
);

const told = document.querySelector("#told") as HTMLPreElement;

function tell(...fields: (string | number | boolean)[]): void {
  told.append(`${fields.join("\t")}\n`);
}

function reasonOf(error: unknown): string {
  return ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.reason ?? "";
}

/** Repeats the very same request, with its requestId, for as long as the bus says when to. */
async function call<Request, Answer>(method: (request: Request) => Promise<Answer>, request: Request): Promise<Answer> {
  while (true) {
    try {
      return await method(request);
    } catch (error) {
      const { retryDelay } = ConnectError.from(error).findDetails(RetryInfoSchema)[0] ?? {};
      if (retryDelay === undefined) throw error;
      const waitMs = Math.ceil(durationMs(retryDelay));
      tell("refused", reasonOf(error), waitMs);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}

async function send(request: MessageInitShape<typeof SendRequestSchema>): Promise<void> {
  const { id, deduplicated } = await call(bus.send, request);
  tell("sent", request.subject ?? "", id, deduplicated);
}

/** Waits until there is mail, and leases it. */
async function pull(maxMessages: number, leaseSeconds: number): Promise<PullInboxResponse> {
  while (true) {
    const request = { agent: me, maxMessages, leaseSeconds, waitSeconds: 30, requestId: crypto.randomUUID() };
    const pulled = await call(bus.pullInbox, request);
    for (const m of pulled.messages) {
      tell("got", m.subject, m.id, m.sender, m.body, m.deliveryAttempt ?? 0, m.inReplyTo ?? "");
    }
    if (pulled.messages.length > 0) return pulled;
  }
}

/** A task is answered; notes and answers are only read. */
async function work(message: Message): Promise<void> {
  if (message.subject !== "Task") return;
  await send({
    sender: me,
    recipient: message.sender,
    subject: `Re: ${message.subject}`,
    body: `done: ${message.body}`,
    inReplyTo: message.id,
    // Whoever works on it again answers once.
    requestId: `reply:${message.id}`,
  });
}

async function run(): Promise<void> {
  const { agent } = await call(bus.registerAgent, { agent: me, description: "an agent in a page (connect-web)" });
  tell("registered", agent?.name ?? "");

  await call(bus.getMessage, { agent: me, messageId: "no-such-message" }).catch((error: unknown) =>
    tell("error", reasonOf(error)),
  );

  const toPeer = (subject: string) =>
    create(SendRequestSchema, { sender: me, recipient: peer, subject, body: TEXT, requestId: crypto.randomUUID() });
  const task = toPeer("Task");
  await send(task);
  await send(toPeer("Note 1"));
  await send(toPeer("Note 2"));
  await send(task); // as if its answer had been lost

  await pull(1, 1); // as if it had died over this one: it comes again
  for (let acked = 0; acked < EXPECTED; ) {
    const { messages, leaseId } = await pull(10, 30);
    for (const message of messages) await work(message);
    const messageIds = messages.map(({ id }) => id);
    const { ackedCount } = await call(bus.ack, { agent: me, messageIds, ...(leaseId !== undefined && { leaseId }) });
    tell("acked", ackedCount);
    acked += ackedCount;
  }

  const began = performance.now();
  const { messages } = await call(bus.pullInbox, { agent: me, waitSeconds: 2 });
  tell("quiet", messages.length, Math.round(performance.now() - began));
}

run().then(
  () => tell("end"),
  (error: unknown) => tell("failed", String(error)),
);
