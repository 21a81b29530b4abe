/**
 * What a TypeScript program holds to speak to a bus: sends that are gathered, an inbox as a loop, and every RPC. It
 * composes; how a call is repeated, gathered or leased is told elsewhere.
 */
import { createClient } from "@connectrpc/connect";
import { v7 as uuidv7 } from "uuid";
import { MessageBus, type SendResponse } from "#gen/agentbus/v1/message_bus_pb.js";
import type { Message } from "#gen/agentbus/v1/message_pb.js";
import { environmentName, SettingError } from "../config.ts";
import { ALL } from "../message.ts";
import { type BusClientOptions, settleOptions } from "./client-options.ts";
import { type MessageBusClient, openTransport } from "./connect-bus.ts";
import { SendGatherer } from "./gather-sends.ts";
import { type LeasedMessage, readInbox } from "./inbox.ts";
import { type InboxOptions, InboxReader } from "./inbox-reader.ts";
import type { NamedLetter } from "./outbox/draft.ts";
import { outboxFile } from "./outbox/outbox-file.ts";
import { OutboxSender } from "./outbox/outbox-sender.ts";
import { DraftReplayer } from "./replay-drafts.ts";
import { replySubject } from "./reply-subject.ts";
import { withRetries } from "./retry-calls.ts";
import { type Handler, type WorkOptions, type WorkSummary, workOn } from "./work.ts";

/** Longer than the ten seconds for which a bus tries to reach its store, so that its own word arrives. */
const TIMEOUT_MS = 15_000;
const RETRY_FOR_MS = 10_000;
/** A Send that can be kept is not held up for longer by a bus that is away: enough for one that is restarted. */
const BEFORE_OUTBOX_MS = 2000;

/** What every message says. */
interface Content {
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

export interface OutgoingMessage extends Content {
  /** An agent's name; "ALL" for every agent that is registered. */
  readonly to: string;
}

export interface OutgoingBroadcast extends Content {
  /** Also into the sender's own inbox. Absent: false. */
  readonly includeSender?: boolean | undefined;
}

export type Reply = Omit<Content, "inReplyTo">;

export interface SendOptions {
  /** Rejects with its reason. What is on its way already may arrive all the same. */
  readonly signal?: AbortSignal | undefined;
}

/** The bus has it on disk. */
export interface SentMessage extends Omit<SendResponse, "$typeName" | "$unknown"> {
  readonly status: "sent";
}

/**
 * The bus is away, and this host keeps it: synced to its disk, and tried (by this program while it runs, by the next Send
 * of the same sender, by `agentbus outbox flush`) until it is sent, or refused or expired where `agentbus outbox` shows it.
 * Don't send it again.
 */
export interface QueuedMessage {
  readonly status: "queued";
  readonly requestId: string;
  /** Messages of this sender that wait for this bus, with this one. */
  readonly waiting: number;
  /** Why it was not sent at once, in words. */
  readonly reason: string;
}

export type Sent = SentMessage | QueuedMessage;

export class BusClient {
  /** Every RPC as it is in the contract, with the same retries, and errors of the same classes, as the methods here. */
  readonly rpc: MessageBusClient;
  /** Who you are. */
  readonly agent: string | undefined;
  readonly #sends: SendGatherer;
  readonly #outbox: OutboxSender;
  readonly #drafts: DraftReplayer;
  /** Sends that are not settled yet. */
  readonly #sending = new Set<Promise<unknown>>();
  readonly #pulls: MessageBusClient;
  readonly #closed = new AbortController();
  readonly #disconnect: () => void;

  /** Connects nothing yet: the first call does. Throws a SettingError for an option or variable that can't be used. */
  constructor(options: BusClientOptions = {}) {
    const { url: urls, token, agent, outbox } = settleOptions(options);
    const { connect, timeoutMs = TIMEOUT_MS, retryForMs = RETRY_FOR_MS } = options;
    const { transport, close } = openTransport({ urls, token, connect });
    const limits = { timeoutMs, unavailableForMs: retryForMs, limitedForMs: retryForMs };
    this.rpc = createClient(MessageBus, withRetries(transport, limits));
    this.agent = agent;
    const file = outboxFile(outbox);
    const unavailableForMs = file === undefined ? retryForMs : Math.min(retryForMs, BEFORE_OUTBOX_MS);
    const sending = createClient(MessageBus, withRetries(transport, { ...limits, unavailableForMs, limitedForMs: 0 }));
    this.#sends = new SendGatherer(sending, retryForMs);
    this.#outbox = new OutboxSender({ file, urls, live: (letter, signal) => this.#sends.send(letter, signal) });
    this.#drafts = new DraftReplayer((sender) => this.#outbox.replay(sender), this.#closed.signal);
    const once = { ...limits, unavailableForMs: 0, limitedForMs: 0 };
    this.#pulls = createClient(MessageBus, withRetries(transport, once));
    this.#disconnect = close;
  }

  /**
   * Stores one message; resolves once it is on disk: the bus's ("sent"), or this host's while the bus is away ("queued").
   * Those that are sent at the same time go in one request, in order. Throws a BusRefusal; without an outbox, or if the
   * outbox can't keep it, an UnreachableError.
   */
  async send(message: OutgoingMessage, options?: SendOptions): Promise<Sent> {
    return this.#send({ ...this.#content(message), recipient: message.to }, options);
  }

  /** One message to every agent that is registered at that instant. */
  async broadcast(message: OutgoingBroadcast, options?: SendOptions): Promise<Sent> {
    const { includeSender } = message;
    return this.#send({ ...this.#content(message), recipient: ALL, includeSender }, options);
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
    await Promise.allSettled(this.#sending);
    await this.#drafts.stopped();
    this.#outbox.close();
    this.#disconnect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #reader(agent: string | undefined, options: InboxOptions): InboxReader {
    if (agent === undefined) throw new SettingError(`say whose inbox: its agent's name, or ${whoAmI}`);
    const reading = { agent, rpc: this.rpc, pulls: this.#pulls, closed: this.#closed.signal };
    // Whoever only reads, or a program that it runs, may have sent something while the bus was away.
    return new InboxReader({ ...reading, beforePull: () => this.#drafts.start(agent) }, options);
  }

  async #send(letter: NamedLetter, { signal }: SendOptions = {}): Promise<Sent> {
    signal?.throwIfAborted();
    const sending = this.#outbox.send(letter, signal);
    this.#sending.add(sending);
    try {
      const outcome = await sending;
      if (outcome.status === "queued") {
        this.#drafts.startLater(letter.sender);
        return outcome;
      }
      const { $typeName: _, $unknown: __, ...response } = outcome.response;
      return { status: "sent", ...response };
    } finally {
      this.#sending.delete(sending);
    }
  }

  #content({ from = this.agent, subject = "", requestId = uuidv7(), ...content }: Content) {
    if (from === undefined) throw new SettingError(`say who sends: from, or ${whoAmI}`);
    const { body, inReplyTo, ttlSeconds, traceparent } = content;
    return { sender: from, subject, requestId, body, inReplyTo, ttlSeconds, traceparent };
  }
}

const whoAmI = `the client's option agent, or ${environmentName("agent")}`;
