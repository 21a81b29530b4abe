/**
 * Send, SendBatch and Broadcast: from a request to what the store is asked to keep, and back to an answer with advice.
 * What is judged inside the transaction is the store's.
 */
import { createHash } from "node:crypto";
import { BusError } from "./errors.ts";
import { ALL, foldName } from "./message.ts";
import { noticeOf } from "./notices.ts";
import { requireName } from "./permissions.ts";
import { checkRequest, type RequestLimits } from "./request-rules.ts";
import type * as ask from "./requests.ts";
import type { NewMessage, Sent, Store } from "./store.ts";
import type { Principal } from "./token.ts";

/** Names looked through for a misspelled one: keeps a notice under a millisecond or two. */
const MAX_NAMES_COMPARED = 2000;
/** Recipients of one batch that are compared with those: a thousand of them would hold everybody up for a second. */
const MAX_NAMES_SUGGESTED_FOR = 16;

export interface SendingParts {
  readonly store: Store;
  readonly newId: () => string;
  readonly limits: RequestLimits;
}

export class Sending {
  readonly #store: Store;
  readonly #newId: () => string;
  readonly #limits: RequestLimits;

  constructor({ store, newId, limits }: SendingParts) {
    this.#store = store;
    this.#newId = newId;
    this.#limits = limits;
  }

  async send(who: Principal, request: ask.SendRequest): Promise<ask.SendAnswer> {
    requireName(who, request.sender);
    checkRequest("Send", request, this.#limits);
    return this.#sendOne(this.#newMessage(request, false));
  }

  async broadcast(who: Principal, request: ask.BroadcastRequest): Promise<ask.SendAnswer> {
    requireName(who, request.sender);
    checkRequest("Broadcast", request, this.#limits);
    return this.#sendOne(this.#newMessage({ ...request, recipient: ALL }, request.includeSender));
  }

  /** One transaction, one outcome an item, in order. */
  async sendBatch(who: Principal, requests: readonly ask.SendRequest[]): Promise<(ask.SendAnswer | BusError)[]> {
    checkRequest("SendBatch", { requests }, this.#limits);
    const outcomes = requests.map((request): NewMessage | BusError => {
      const refusal = refusalOf(() => {
        requireName(who, request.sender);
        checkRequest("SendBatchItem", request, this.#limits);
      });
      return refusal ?? this.#newMessage(request, false);
    });
    const accepted = outcomes.filter((outcome): outcome is NewMessage => !(outcome instanceof BusError));
    const sent = accepted.length > 0 ? await this.#store.send(accepted) : [];
    const notices = await this.#notices(accepted, sent);
    const answers = sent.map((one, i) => (one instanceof BusError ? one : { ...one, notice: notices[i] ?? "" }));
    let next = 0;
    return outcomes.map((outcome) => (outcome instanceof BusError ? outcome : (answers[next++] as ask.SendAnswer)));
  }

  #newMessage(request: ask.SendRequest, includeSender: boolean): NewMessage {
    const recipient = foldName(request.recipient);
    const { sender, subject, body, inReplyTo, requestId, ttlSeconds, traceparent } = request;
    return {
      id: this.#newId(),
      sender: foldName(sender),
      recipient,
      includeSender,
      subject,
      body,
      inReplyTo,
      ttlMs: ttlSeconds === undefined ? undefined : ttlSeconds * 1000,
      traceparent,
      key:
        requestId === undefined
          ? undefined
          : { requestId, contentHash: contentHash(recipient, subject, body, inReplyTo, includeSender) },
    };
  }

  async #sendOne(message: NewMessage): Promise<ask.SendAnswer> {
    const [sent] = await this.#store.send([message]);
    if (sent === undefined) throw new Error("the store answered no outcome for a message");
    if (sent instanceof BusError) throw sent;
    const [notice = ""] = await this.#notices([message], [sent]);
    return { ...sent, notice };
  }

  /** Advice for each message; "": nothing to say. */
  async #notices(messages: readonly NewMessage[], sent: readonly (Sent | BusError)[]): Promise<string[]> {
    const unknown = sent.some((one) => !(one instanceof BusError) && !one.recipientKnown);
    const known = unknown ? await this.#store.agentNames(MAX_NAMES_COMPARED) : [];
    const notices = new Map<string, string>();
    return messages.map(({ recipient }, i) => {
      const one = sent[i];
      if (one === undefined || one instanceof BusError) return "";
      if (one.recipientKnown) return noticeOf(recipient, one, []);
      const notice =
        notices.get(recipient) ?? noticeOf(recipient, one, notices.size < MAX_NAMES_SUGGESTED_FOR ? known : []);
      notices.set(recipient, notice);
      return notice;
    });
  }
}

function refusalOf(check: () => void): BusError | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (error instanceof BusError) return error;
    throw error;
  }
}

/** What a request_id stands for. Neither ttl nor traceparent: those may differ in a repeat. */
function contentHash(...content: (string | boolean | undefined)[]): Uint8Array {
  return createHash("sha256").update(JSON.stringify(content)).digest();
}
