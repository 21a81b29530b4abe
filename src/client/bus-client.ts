/**
 * What a TypeScript program holds to speak to a bus: sends that are gathered, an inbox as a loop, and every RPC. It
 * composes; how a call is repeated, gathered or leased is told elsewhere.
 */
import type { Duplex } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { v7 as uuidv7 } from "uuid";
import type { Message } from "#gen/agentbus/v1/message_pb.js";
import {
  BroadcastRequestSchema,
  MessageBus,
  SendRequestSchema,
  type SendResponse,
} from "#gen/agentbus/v1/message_bus_pb.js";
import { environmentName, readSettings, SettingError, settings } from "../config.ts";
import { type MessageBusClient, openTransport } from "./connect-bus.ts";
import { SendGatherer } from "./gather-sends.ts";
import { type LeasedMessage, readInbox } from "./inbox.ts";
import { type InboxOptions, InboxReader } from "./inbox-reader.ts";
import { withRetries } from "./retry-calls.ts";
import { type Handler, type WorkOptions, type WorkSummary, workOn } from "./work.ts";

/** Longer than the ten seconds for which a bus tries to reach its store, so that its own word arrives. */
const TIMEOUT_MS = 15_000;
const RETRY_FOR_MS = 10_000;
const MAX_SUBJECT_BYTES = 1024;

export interface BusClientOptions {
  /** Addresses of the nodes of one bus, in the order of preference. Absent: AGENTBUS_URL, or http://127.0.0.1:8091. */
  readonly urls?: string | readonly string[] | undefined;
  /** Absent: AGENTBUS_TOKEN. */
  readonly token?: string | undefined;
  /** Who you are: the default of every `from`, and whose inbox it is. Absent: AGENTBUS_AGENT. */
  readonly agent?: string | undefined;
  /** For who lives in the bus's own process: gives connections to it, and `urls` are not dialed. */
  readonly connect?: (() => Duplex) | undefined;
  /** How long one try of a call may stay without an answer, in milliseconds, besides the time it waits for mail: 15,000. */
  readonly timeoutMs?: number | undefined;
  /**
   * For how long a call is repeated, in milliseconds, from its first failure on: 10,000; 0: never. Only what is safe to
   * repeat is: see docs/typescript-client.md. A rate limit that ends later is thrown at once.
   */
  readonly retryForMs?: number | undefined;
}

/** What every message says. */
interface Letter {
  /** At most 1 KiB of UTF-8. Absent: empty. */
  readonly subject?: string | undefined;
  /** At most 256 KiB of UTF-8, unless the bus is set otherwise. */
  readonly body: string;
  /** Who sends. Absent: the client's agent. */
  readonly from?: string | undefined;
  /** Id of the message that this one answers. */
  readonly inReplyTo?: string | undefined;
  /** A dead letter if unread this many seconds after the Send, 1-31,536,000. Absent: never. */
  readonly ttlSeconds?: number | undefined;
  /** Names this message: one that is sent again with the same id is stored once. Absent: a new one. */
  readonly requestId?: string | undefined;
  /** W3C trace context. */
  readonly traceparent?: string | undefined;
}

export interface OutgoingMessage extends Letter {
  /** An agent's name; "ALL" for every agent that is registered. */
  readonly to: string;
}

export interface OutgoingBroadcast extends Letter {
  /** Also into the sender's own inbox. Absent: false. */
  readonly includeSender?: boolean | undefined;
}

export type Reply = Omit<Letter, "inReplyTo">;

export interface SendOptions {
  /** Rejects with its reason. What is on its way already may arrive all the same. */
  readonly signal?: AbortSignal | undefined;
}

/** The bus has it on disk. */
export interface SentMessage extends Omit<SendResponse, "$typeName" | "$unknown"> {
  readonly status: "sent";
}

export type Sent = SentMessage;

export class BusClient {
  /** Every RPC as it is in the contract, with the same retries, and errors of the same classes, as the methods here. */
  readonly rpc: MessageBusClient;
  /** Who you are. */
  readonly agent: string | undefined;
  readonly #sends: SendGatherer;
  readonly #pulls: MessageBusClient;
  readonly #closed = new AbortController();
  readonly #disconnect: () => void;

  /** Connects nothing yet: the first call does. Throws a SettingError for an option or variable that can't be used. */
  constructor(options: BusClientOptions = {}) {
    const { url: urls, token, agent } = callSettings(options);
    const { connect, timeoutMs = TIMEOUT_MS, retryForMs = RETRY_FOR_MS } = options;
    const { transport, close } = openTransport({ urls, token, connect });
    const limits = { timeoutMs, unavailableForMs: retryForMs, limitedForMs: retryForMs };
    this.rpc = createClient(MessageBus, withRetries(transport, limits));
    this.agent = agent;
    const sending = createClient(MessageBus, withRetries(transport, { ...limits, limitedForMs: 0 }));
    this.#sends = new SendGatherer(sending, retryForMs);
    const once = { ...limits, unavailableForMs: 0, limitedForMs: 0 };
    this.#pulls = createClient(MessageBus, withRetries(transport, once));
    this.#disconnect = close;
  }

  /**
   * Stores one message; resolves once it is on disk. Those that are sent at the same time go in one request, in order.
   * Throws a BusRefusal, or an UnreachableError if no bus answered.
   */
  async send(message: OutgoingMessage, { signal }: SendOptions = {}): Promise<Sent> {
    const request = create(SendRequestSchema, { ...this.#letter(message), recipient: message.to });
    return sent(await this.#sends.send(request, signal));
  }

  /** One message to every agent that is registered at that instant. */
  async broadcast(message: OutgoingBroadcast, { signal }: SendOptions = {}): Promise<Sent> {
    const includeSender = message.includeSender ?? false;
    const request = create(BroadcastRequestSchema, { ...this.#letter(message), includeSender });
    return sent(await this.#sends.send(request, signal));
  }

  /** Answers a message that was read: to its sender, from the agent who read it. */
  reply(message: Pick<Message, "id" | "sender" | "subject">, reply: Reply, options?: SendOptions): Promise<Sent> {
    const subject = reply.subject ?? replySubject(message.subject);
    return this.send({ ...reply, subject, to: message.sender, inReplyTo: message.id }, options);
  }

  /**
   * The mail of an inbox, message by message, for ever: each is leased while the loop's body works on it, and acknowledged
   * when the body is done, that is, when it asks for the next. A body that is left (break, return, throw) leaves its
   * message unacknowledged: it comes again later. Survives an outage of the bus; throws what needs somebody, such as a
   * refused token.
   */
  inbox(agent = this.agent, options: InboxOptions = {}): AsyncGenerator<LeasedMessage, void, void> {
    return readInbox(this.#reader(agent, options));
  }

  /**
   * Calls `handler` with every message of an inbox: acknowledged when it resolves; when it rejects, the message comes again
   * after a back-off that doubles with every attempt. Resolves when `signal` aborts and all that was begun is finished.
   */
  work(agent: string | undefined, handler: Handler, options: WorkOptions = {}): Promise<WorkSummary> {
    return workOn(this.#reader(agent ?? this.agent, options), handler, options);
  }

  /** Resolves when what was sent is settled and every connection is closed. Loops end; what they work on, they finish. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#sends.drain();
    this.#disconnect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #reader(agent: string | undefined, options: InboxOptions): InboxReader {
    if (agent === undefined) throw new SettingError(`say whose inbox: its agent's name, or ${whoAmI}`);
    return new InboxReader({ agent, rpc: this.rpc, pulls: this.#pulls, closed: this.#closed.signal }, options);
  }

  #letter({ from = this.agent, subject = "", body, inReplyTo, ttlSeconds, requestId, traceparent }: Letter) {
    if (from === undefined) throw new SettingError(`say who sends: from, or ${whoAmI}`);
    return {
      sender: from,
      subject,
      body,
      requestId: requestId ?? uuidv7(),
      ...(inReplyTo !== undefined && { inReplyTo }),
      ...(ttlSeconds !== undefined && { ttlSeconds }),
      ...(traceparent !== undefined && { traceparent }),
    };
  }
}

const whoAmI = `the client's option agent, or ${environmentName("agent")}`;

/** What the options leave out is settled as on the command line. */
function callSettings({ urls, token, agent }: BusClientOptions) {
  const environment = Object.fromEntries(
    (["url", "token", "agent"] as const).map(environmentName).map((name) => [name, process.env[name]]),
  );
  const given = readSettings({}, environment);
  const url = urls === undefined ? given.url : settings.url.parse([urls].flat().join(","));
  return { url, token: token ?? given.token, agent: agent ?? given.agent };
}

function sent({ $typeName: _, $unknown: __, ...response }: SendResponse): SentMessage {
  return { status: "sent", ...response };
}

/** "Re: " once, however often it goes to and fro; cut at a character's edge where that makes it too long. */
function replySubject(subject: string): string {
  const whole = /^re:/i.test(subject) ? subject : `Re: ${subject}`;
  const bytes = new TextEncoder().encode(whole).subarray(0, MAX_SUBJECT_BYTES);
  // In stream mode a decoder keeps back an unfinished last character instead of replacing it.
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes, { stream: true });
}
