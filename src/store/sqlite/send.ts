/**
 * Stores one message inside a write transaction. Every check comes before the first write, in DESIGN's order: what
 * repeats, recipient, hops, rate; a refusal therefore leaves no trace.
 */
import { BusError, requestIdReused, unknownAgent } from "../../errors.ts";
import { ALL } from "../../message.ts";
import { nearestNames } from "../../nearest-names.ts";
import { describeRateLimit, waitForQuota } from "../../rate-limit.ts";
import type { NewMessage, Sent, StorePolicy } from "../../store.ts";
import type { AgentNames, AgentRow } from "./agent-names.ts";
import { IS_ALIVE } from "./delivery-state.ts";
import type { Database } from "./open-database.ts";

/** Names looked through for a misspelled recipient. */
const MAX_NAMES_COMPARED = 2000;

/** The answer to a message that is stored already. */
interface AnswerRow {
  readonly message_id: string;
  readonly at: number;
  readonly recipient_count: number;
}

interface KeyRow extends AnswerRow {
  readonly content_hash: Uint8Array;
}

export class Sending {
  readonly #agents: AgentNames;
  readonly #policy: StorePolicy;
  readonly #known;
  readonly #key;
  readonly #parent;
  readonly #nthNewest;
  readonly #count;
  readonly #insertQuota;
  readonly #trimQuota;
  readonly #insertMessage;
  readonly #markUnreached;
  readonly #insertDelivery;
  readonly #insertBroadcast;
  readonly #fullInboxes;
  readonly #alive;
  readonly #insertKey;

  constructor(db: Database, agents: AgentNames, policy: StorePolicy) {
    this.#agents = agents;
    this.#policy = policy;
    this.#known = db.prepare(`
      select id as message_id, at, (select count(*) from deliveries d
        where d.message = m.seq and d.dead_reason is not 'INBOX_FULL') as recipient_count
      from messages m where id = ?`);
    this.#key = db.prepare(
      "select content_hash, message_id, at, recipient_count from request_keys where sender = ? and request_id = ?",
    );
    // A message that the sender neither sent nor received tells nothing: it may be anybody's.
    this.#parent = db
      .prepare(`
        select m.hops from messages m where m.id = :id and (m.sender = :sender
          or exists (select 1 from deliveries d where d.message = m.seq and d.inbox = :sender))`)
      .pluck();
    this.#nthNewest = db.prepare("select at from quota where sender = ? and nth = ?").pluck();
    this.#count = db.prepare("update agents set sent_count = sent_count + 1 where id = ? returning sent_count").pluck();
    this.#insertQuota = db.prepare("insert into quota (sender, nth, at) values (?, ?, ?)");
    this.#trimQuota = db.prepare("delete from quota where sender = ? and nth <= ?");
    this.#insertMessage = db.prepare(`
      insert into messages (id, sender, recipient, subject, body, at, in_reply_to, hops, traceparent)
      values (:id, :sender, :recipient, :subject, :body, :at, :inReplyTo, :hops, :traceparent)`);
    this.#markUnreached = db.prepare("update messages set reached = 0 where seq = ?");
    this.#insertDelivery = db.prepare("insert into deliveries (message, inbox, expire_at) values (?, ?, ?)");
    // A count that also has what is due to be DEAD is good enough until it reaches the cap; then the exact one decides.
    const alive = `select count(*) from deliveries d indexed by deliveries_waiting
      where d.inbox = :inbox and d.state = 1 and ${IS_ALIVE}`;
    this.#alive = db.prepare(alive).pluck();
    this.#insertBroadcast = db.prepare(`
      insert into deliveries (message, inbox, expire_at, state, dead_at, dead_reason)
      select :message, id, :expireAt, iif(is_full, 4, 1), iif(is_full, :now, null), iif(is_full, 'INBOX_FULL', null)
      from (select a.id, a.waiting >= :maxInbox and (${alive.replace(":inbox", "a.id")}) >= :maxInbox as is_full
        from agents a where a.registered_at is not null and (a.id <> :sender or :includeSender) order by a.id)`);
    this.#fullInboxes = db
      .prepare(`
        select a.name from messages m cross join deliveries d indexed by deliveries_of_message on d.message = m.seq
        cross join agents a on a.id = d.inbox where m.id = ? and d.dead_reason = 'INBOX_FULL' order by a.name`)
      .pluck();
    this.#insertKey = db.prepare(`
      insert into request_keys (sender, request_id, content_hash, message_id, at, recipient_count)
      values (?, ?, ?, ?, ?, ?)`);
  }

  /** Throws REQUEST_ID_REUSED, UNKNOWN_AGENT, TOO_MANY_HOPS, RATE_LIMITED. */
  send(message: NewMessage, now: number): Sent {
    const sender = this.#agents.find(message.sender);
    const registered = this.#isRegistered(message.recipient);
    // The node's own second try of a batch whose outcome it never learned comes with the id of the first.
    const first =
      sender && (this.#firstAnswer(sender, message) ?? (this.#known.get(message.id) as AnswerRow | undefined));
    if (first !== undefined) {
      const deduplicated = first.message_id !== message.id;
      return {
        id: first.message_id,
        timestamp: first.at,
        deduplicated,
        recipientKnown: registered,
        recipientCount: first.recipient_count,
        fullInboxes: deduplicated ? [] : this.#namesOfFull(message),
      };
    }
    // A sender is registered by this very Send, so it knows itself.
    const recipientKnown = registered || message.recipient === message.sender;
    if (!recipientKnown && this.#policy.unknownRecipients === "reject") {
      throw unknownAgent(
        message.recipient,
        nearestNames(message.recipient, this.#agents.registered(MAX_NAMES_COMPARED)),
      );
    }
    const hops = this.#hops(sender, message);
    this.#checkInbox(message.recipient, now);
    this.#checkQuota(sender, message.sender, now);
    const written = this.#write(message, hops, now);
    return { id: message.id, timestamp: now, deduplicated: false, recipientKnown, ...written };
  }

  #isRegistered(recipient: string): boolean {
    return recipient === ALL || this.#agents.find(recipient)?.registered_at != null;
  }

  #firstAnswer(sender: AgentRow, { key }: NewMessage): KeyRow | undefined {
    if (key === undefined) return undefined;
    const first = this.#key.get(sender.id, key.requestId) as KeyRow | undefined;
    if (first !== undefined && Buffer.compare(first.content_hash, key.contentHash) !== 0) {
      throw requestIdReused(key.requestId, "another message");
    }
    return first;
  }

  #hops(sender: AgentRow | undefined, { inReplyTo }: NewMessage): number {
    if (inReplyTo === undefined) return 0;
    const parent = sender && (this.#parent.get({ id: inReplyTo, sender: sender.id }) as number | undefined);
    const hops = (parent ?? 0) + 1;
    const { maxHops } = this.#policy;
    if (hops > maxHops) {
      throw new BusError({
        reason: "TOO_MANY_HOPS",
        advice: `this would be reply number ${hops} of a chain, the limit is ${maxHops}; stop answering, or begin a new message without inReplyTo if it still matters`,
        metadata: { limit: String(maxHops), actual: String(hops) },
      });
    }
    return hops;
  }

  #checkInbox(name: string, now: number): void {
    const { maxInbox, maxAttempts } = this.#policy;
    const recipient = name === ALL ? undefined : this.#agents.find(name);
    if (recipient === undefined || recipient.waiting < maxInbox) return;
    const actual = this.#alive.get({ inbox: recipient.id, now, maxAttempts }) as number;
    if (actual < maxInbox) return;
    throw new BusError({
      reason: "INBOX_FULL",
      advice: `the inbox of ${name} has ${actual} unread messages, the limit is ${maxInbox}; nothing was stored: send again once ${name} has read some, or remove the agent if it is gone`,
      metadata: { inbox: name, limit: String(maxInbox), actual: String(actual) },
    });
  }

  #checkQuota(sender: AgentRow | undefined, name: string, now: number): void {
    const limit = this.#policy.rateLimit;
    if (limit === undefined || sender === undefined) return;
    const nth = this.#nthNewest.get(sender.id, sender.sent_count - limit.count + 1) as number | undefined;
    const wait = waitForQuota(limit, nth, now);
    if (wait === 0) return;
    const allowed = describeRateLimit(limit);
    throw new BusError({
      reason: "RATE_LIMITED",
      advice: `${name} may send ${allowed} and has done so; wait ${Math.ceil(wait / 1000)} s. Pulling and acking stay free`,
      retryAfterMs: wait,
      quota: { subject: `agent:${name}`, description: `messages of one sender: ${allowed}` },
      metadata: { limit: String(limit.count), windowSeconds: String(limit.windowMs / 1000) },
    });
  }

  #write(message: NewMessage, hops: number, now: number): Pick<Sent, "recipientCount" | "fullInboxes"> {
    const { id, subject, body, inReplyTo = null, traceparent = null, ttlMs, key } = message;
    const sender = this.#agents.register(message.sender, now);
    this.#countForQuota(sender, now);
    const recipient = message.recipient === ALL ? null : this.#agents.keep(message.recipient);
    const { lastInsertRowid: seq } = this.#insertMessage.run({
      id,
      sender,
      recipient,
      subject,
      body,
      at: now,
      inReplyTo,
      hops,
      traceparent,
    });
    const expireAt = ttlMs === undefined ? null : now + ttlMs;
    const { changes } =
      recipient === null
        ? this.#insertBroadcast.run({
            message: seq,
            sender,
            expireAt,
            includeSender: message.includeSender ? 1 : 0,
            now,
            maxInbox: this.#policy.maxInbox,
            maxAttempts: this.#policy.maxAttempts,
          })
        : this.#insertDelivery.run(seq, recipient, expireAt);
    const fullInboxes = this.#namesOfFull(message);
    if (changes === 0) this.#markUnreached.run(seq);
    const recipientCount = changes - fullInboxes.length;
    if (key !== undefined) this.#insertKey.run(sender, key.requestId, key.contentHash, id, now, recipientCount);
    return { recipientCount, fullInboxes };
  }

  /** Of a broadcast: whose inbox was full. */
  #namesOfFull({ id, recipient }: NewMessage): string[] {
    return recipient === ALL ? (this.#fullInboxes.all(id) as string[]) : [];
  }

  #countForQuota(sender: number, now: number): void {
    const limit = this.#policy.rateLimit;
    if (limit === undefined) return;
    const nth = this.#count.get(sender) as number;
    this.#insertQuota.run(sender, nth, now);
    this.#trimQuota.run(sender, nth - limit.count);
  }
}
