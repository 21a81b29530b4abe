/**
 * The rules of the bus: what each request means, in terms of the store and the doorbell. It knows no transport, no SQL
 * and no generated code; a refusal is a thrown BusError.
 */
import type { Clock } from "./clock.ts";
import type { Doorbell } from "./doorbell.ts";
import { BusError, type FieldViolation, unknownMessage } from "./errors.ts";
import {
  type Agent,
  DEFAULT_HISTORY_BODY_BYTES,
  DEFAULT_HISTORY_PAGE_SIZE,
  DEFAULT_LEASE_MESSAGES,
  DEFAULT_PAGE_SIZE,
  DEFAULT_PULL_BYTES,
  DEFAULT_PULL_MESSAGES,
  foldName,
  MAX_PAGE_SIZE,
  MAX_PULL_BYTES,
  MAX_PULL_MESSAGES,
  MAX_WAIT_SECONDS,
  type MessageView,
} from "./message.ts";
import { keyOfPageToken, pageTokenAfter } from "./page-token.ts";
import { requireAdmin, requireInbox, requireName } from "./permissions.ts";
import { checkRequest, type RequestLimits } from "./request-rules.ts";
import type * as ask from "./requests.ts";
import { Sending } from "./sending.ts";
import type { Acked, LeaseModified, Pull, Pulled, Redriven, Store, Taking } from "./store.ts";
import type { Principal } from "./token.ts";

/** A long poll ends this long before its caller's own deadline, so that the answer still arrives. */
const ANSWER_AHEAD_MS = 500;

export interface BusParts {
  readonly store: Store;
  readonly doorbell: Doorbell;
  readonly clock: Clock;
  /** Makes ids of messages and leases: UUIDv7. */
  readonly newId: () => string;
  readonly limits: RequestLimits;
}

export class Bus {
  readonly #store: Store;
  readonly #doorbell: Doorbell;
  readonly #clock: Clock;
  readonly #newId: () => string;
  readonly #limits: RequestLimits;
  readonly #sending: Sending;

  constructor(parts: BusParts) {
    this.#store = parts.store;
    this.#doorbell = parts.doorbell;
    this.#clock = parts.clock;
    this.#newId = parts.newId;
    this.#limits = parts.limits;
    this.#sending = new Sending(parts);
  }

  send(who: Principal, request: ask.SendRequest): Promise<ask.SendAnswer> {
    return this.#sending.send(who, request);
  }

  broadcast(who: Principal, request: ask.BroadcastRequest): Promise<ask.SendAnswer> {
    return this.#sending.broadcast(who, request);
  }

  sendBatch(who: Principal, requests: readonly ask.SendRequest[]): Promise<(ask.SendAnswer | BusError)[]> {
    return this.#sending.sendBatch(who, requests);
  }

  /**
   * Hands out unread mail; waits for it if asked. It listens at the doorbell before it reads, so that what is committed
   * in between is not missed. `holdMs` makes a read wait for its Ack: for doors that know when their answer is written.
   */
  async pullInbox(
    who: Principal,
    request: ask.PullRequest,
    caller: ask.Caller,
    holdMs?: number,
  ): Promise<ask.PullAnswer> {
    requireInbox(who, request.agent);
    const both: FieldViolation[] =
      request.markRead && request.leaseSeconds > 0
        ? [{ field: "markRead", description: "must not be set together with leaseSeconds" }]
        : [];
    checkRequest("PullInbox", request, this.#limits, both);
    const pull = this.#pullOf(request, takingOf(request, holdMs));
    const waitMs = Math.min(
      Math.min(request.waitSeconds, MAX_WAIT_SECONDS) * 1000,
      (caller.timeLeftMs ?? Number.POSITIVE_INFINITY) - ANSWER_AHEAD_MS,
    );
    if (waitMs <= 0) return this.#pullFor(pull, caller);

    const until = this.#clock() + waitMs;
    const listener = this.#doorbell.listen(pull.agent);
    try {
      for (;;) {
        const pulled = await this.#pullFor(pull, caller);
        const left = until - this.#clock();
        if (pulled.messages.length > 0 || left <= 0) return pulled;
        // What is leased now comes back without a ring when its lease runs out.
        const due = pulled.dueAt === undefined ? left : Math.max(1, pulled.dueAt - this.#clock());
        const began = this.#clock();
        const why = await listener.wait(Math.min(left, due), caller.gone);
        caller.waited?.(this.#clock() - began);
        if (why === "draining") return pulled;
        await caller.stillAdmitted?.();
      }
    } finally {
      listener.close();
    }
  }

  async ack(who: Principal, request: ask.AckRequest): Promise<Acked> {
    requireInbox(who, request.agent);
    checkRequest("Ack", request, this.#limits);
    return this.#store.ack(foldName(request.agent), request.messageIds, request.leaseId);
  }

  async modifyLease(who: Principal, request: ask.ModifyLeaseRequest): Promise<LeaseModified> {
    requireInbox(who, request.agent);
    const { leaseSeconds, leaseId, messageIds } = request;
    const more: FieldViolation[] = [];
    if (leaseSeconds === undefined) {
      more.push({ field: "leaseSeconds", description: "is required: 0 gives the lease back" });
    } else if (leaseSeconds > 0 && messageIds.length > 0) {
      more.push({
        field: "messageIds",
        description: "must be empty unless leaseSeconds is 0: a lease is prolonged whole",
      });
    }
    checkRequest("ModifyLease", request, this.#limits, more);
    const agent = foldName(request.agent);
    return leaseSeconds
      ? this.#store.extendLease(agent, leaseId, leaseSeconds * 1000)
      : this.#store.giveBack(agent, leaseId, messageIds.length > 0 ? messageIds : undefined);
  }

  async registerAgent(who: Principal, request: ask.RegisterAgentRequest): Promise<Agent> {
    requireName(who, request.agent);
    checkRequest("RegisterAgent", request, this.#limits);
    return this.#store.registerAgent(foldName(request.agent), request.description);
  }

  /** Resolves to the number of unread deliveries that are DEAD now. Throws UNKNOWN_AGENT, INBOX_NOT_EMPTY. */
  async removeAgent(who: Principal, request: ask.RemoveAgentRequest): Promise<number> {
    requireAdmin(who, "RemoveAgent");
    checkRequest("RemoveAgent", request, this.#limits);
    return this.#store.removeAgent(foldName(request.agent), request.force);
  }

  async listAgents(request: ask.ListAgentsRequest): Promise<ask.AgentList> {
    checkRequest("ListAgents", request, this.#limits);
    const asked = ["ListAgents", request.query, request.includeUnregistered];
    const page = await this.#store.listAgents({
      text: request.query,
      includeUnregistered: request.includeUnregistered,
      limit: pageSize(request),
      after: keyOfPageToken(request.pageToken, asked),
    });
    return { agents: page.items, nextPageToken: page.next === undefined ? "" : pageTokenAfter(page.next, asked) };
  }

  async redriveDeadLetters(who: Principal, request: ask.RedriveRequest): Promise<Redriven> {
    requireInbox(who, request.agent);
    checkRequest("RedriveDeadLetters", request, this.#limits);
    const ids = request.messageIds.length > 0 ? request.messageIds : undefined;
    return this.#store.redrive(foldName(request.agent), ids);
  }

  async listMessages(who: Principal, request: ask.ListMessagesRequest): Promise<ask.MessageList> {
    requireInbox(who, request.agent);
    checkRequest("ListMessages", request, this.#limits);
    const { box, inReplyTo, text, since, until } = request;
    const agent = foldName(request.agent);
    const peer = request.peer === undefined ? undefined : foldName(request.peer);
    const maxBodyBytes = request.maxBodyBytes || DEFAULT_HISTORY_BODY_BYTES;
    const asked = ["ListMessages", agent, box, peer, inReplyTo, text, since, until, maxBodyBytes];
    const page = await this.#store.listMessages({
      agent,
      box,
      peer,
      inReplyTo,
      text,
      since,
      until,
      maxBodyBytes,
      limit: Math.min(request.pageSize || DEFAULT_HISTORY_PAGE_SIZE, MAX_PAGE_SIZE),
      after: keyOfPageToken(request.pageToken, asked),
    });
    return { messages: page.items, nextPageToken: page.next === undefined ? "" : pageTokenAfter(page.next, asked) };
  }

  async getMessage(who: Principal, request: ask.GetMessageRequest): Promise<MessageView> {
    requireInbox(who, request.agent);
    checkRequest("GetMessage", request, this.#limits);
    const message = await this.#store.getMessage(foldName(request.agent), request.messageId);
    if (message === undefined) throw unknownMessage(request.messageId);
    return message;
  }

  async getReceipt(who: Principal, request: ask.GetReceiptRequest): Promise<ask.ReceiptList> {
    checkRequest("GetReceipt", request, this.#limits);
    const asked = ["GetReceipt", request.messageId];
    const after = keyOfPageToken(request.pageToken, asked);
    // To an agent token a message that is not its own does not exist.
    if (who.kind === "agent" && (await this.#store.getMessage(who.agent, request.messageId)) === undefined) {
      throw unknownMessage(request.messageId);
    }
    const page = await this.#store.getReceipt(request.messageId, pageSize(request), after);
    if (page === undefined) throw unknownMessage(request.messageId);
    const { items: receipts, next, ...counts } = page;
    return { ...counts, receipts, nextPageToken: next === undefined ? "" : pageTokenAfter(next, asked) };
  }

  /** Nothing is leased for a caller who is gone; one who leaves meanwhile is the door's: it knows what arrived. */
  async #pullFor(pull: Pull, caller: ask.Caller): Promise<ask.PullAnswer & Pick<Pulled, "dueAt">> {
    if (caller.gone.aborted) throw hungUp();
    const { lease, ...pulled } = await this.#store.pull(pull);
    return { ...pulled, lease: lease && { ...lease, repeated: lease.id !== pull.leaseId } };
  }

  #pullOf(request: ask.PullRequest, taking: Taking): Pull {
    const usual = taking.kind === "lease" ? DEFAULT_LEASE_MESSAGES : DEFAULT_PULL_MESSAGES;
    return {
      agent: foldName(request.agent),
      maxMessages: Math.min(request.maxMessages || usual, MAX_PULL_MESSAGES),
      maxBytes: Math.min(request.maxBytes || DEFAULT_PULL_BYTES, MAX_PULL_BYTES),
      maxBodyBytes: request.maxBodyBytes || undefined,
      taking,
      leaseId: this.#newId(),
      requestId: taking.kind === "look" ? undefined : request.requestId,
    };
  }
}

function takingOf(request: ask.PullRequest, holdMs: number | undefined): Taking {
  if (request.leaseSeconds > 0) return { kind: "lease", ms: request.leaseSeconds * 1000 };
  if (!request.markRead) return { kind: "look" };
  return holdMs === undefined ? { kind: "read" } : { kind: "hold", ms: holdMs };
}

function pageSize(request: ask.PageRequest): number {
  return Math.min(request.pageSize || DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE);
}

function hungUp(): BusError {
  return new BusError({ reason: "CANCELED", advice: "the caller hung up" });
}
