/**
 * What the bus asks of whatever keeps the mail: business verbs, each one transaction. An engine is one factory that
 * answers this interface (src/store/open-store.ts); test/store/conformance.ts says what every verb means, for all of
 * them. Every promise of a writing verb settles after its commit is on disk. A refusal is a thrown BusError.
 *
 * Agent names come folded; times are milliseconds since 1970, UTC.
 */
import type { Clock } from "./clock.ts";
import type { BusError, Reason } from "./errors.ts";
import type { Agent, DeadReason, Message, MessageView, Receipt } from "./message.ts";
import type { RateLimit } from "./rate-limit.ts";
import type { TokenRecord } from "./token.ts";

/** What a store is opened with. It asks no other clock and makes no ids. */
export interface StoreOptions {
  readonly clock: Clock;
  readonly policy: StorePolicy;
  /** Mail may have arrived in this inbox; undefined: in any. Called after the commit. */
  readonly ring: (inbox: string | undefined) => void;
  /** Absent: nobody counts. */
  readonly observer?: CommitObserver;
}

/** Whoever counts what the store does: told after the commit, each fact once. It must not throw. */
export interface CommitObserver {
  committed(commit: Commit): void;
  /** A transaction was lost, or nobody knows. */
  commitFailed(): void;
}

/** What one transaction did. */
export interface Commit {
  /** Asked for together, the bus's own chores among them. */
  readonly writes: number;
  /** From the first write's turn until all of them were on disk. */
  readonly milliseconds: number;
  /** Messages; a broadcast is one, a bounce is none. */
  readonly stored: number;
  /** Sends that were stored before. */
  readonly repeated: number;
  /** Messages that the store's own rules refused. */
  readonly refused: Counts<Reason>;
  /** Deliveries handed out that had been leased before. */
  readonly redelivered: number;
  readonly died: Counts<DeadReason>;
  readonly bounced: number;
}

/** How many of each; absent: none. */
export type Counts<K extends string> = Readonly<Partial<Record<K, number>>>;

/** Rules that are judged inside a transaction. */
export interface StorePolicy {
  /** undefined: no limit. */
  readonly rateLimit: RateLimit | undefined;
  readonly unknownRecipients: "hold" | "reject";
  readonly maxHops: number;
  /** Leases before a delivery is DEAD. */
  readonly maxAttempts: number;
  /** UNREAD and LEASED deliveries of one inbox. */
  readonly maxInbox: number;
  /** How long READ and DEAD mail is kept. */
  readonly retentionMs: number;
}

/** One message to store. Its id was made by the node before the first try. */
export interface NewMessage {
  readonly id: string;
  readonly sender: string;
  /** An agent's name, or ALL. */
  readonly recipient: string;
  /** Only of a broadcast. */
  readonly includeSender: boolean;
  readonly subject: string;
  readonly body: string;
  readonly inReplyTo: string | undefined;
  readonly ttlMs: number | undefined;
  readonly traceparent: string | undefined;
  /** The sender's own key and the hash of what it stands for. */
  readonly key: { readonly requestId: string; readonly contentHash: Uint8Array } | undefined;
}

/** The answer to one accepted message, or to a repeat of it. */
export interface Sent {
  readonly id: string;
  readonly timestamp: number;
  readonly deduplicated: boolean;
  /** As it is now, also for a repeat. */
  readonly recipientKnown: boolean;
  readonly recipientCount: number;
  /** Of a broadcast: inboxes that were full and got their copy as DEAD; not of a repeat. */
  readonly fullInboxes: readonly string[];
}

/**
 * How a pull takes what it hands out. `hold` is a read whose answer is still to be written: leased until Ack makes it
 * READ, and repeatable under its request_id like `read`.
 */
export type Taking =
  | { readonly kind: "look" }
  | { readonly kind: "read" }
  | { readonly kind: "lease" | "hold"; readonly ms: number };

export interface Pull {
  readonly agent: string;
  readonly maxMessages: number;
  /** Sum of the UTF-8 bytes of subject and body as handed out; the first message always comes. */
  readonly maxBytes: number;
  /** Cut each body to this many bytes; undefined: never. */
  readonly maxBodyBytes: number | undefined;
  readonly taking: Taking;
  /** Names the lease, should one be taken. */
  readonly leaseId: string;
  /** Makes a taking pull safe to repeat; a look ignores it. */
  readonly requestId: string | undefined;
}

export interface Pulled {
  /** In the order of the inbox. */
  readonly messages: readonly Message[];
  readonly hasMore: boolean;
  /** What holds them and until when; undefined: nothing was leased. */
  readonly lease: { readonly id: string; readonly expireAt: number } | undefined;
  /** Only when nothing came: the first instant at which what is leased now may come back; undefined: nothing is. */
  readonly dueAt: number | undefined;
}

export interface Acked {
  readonly ackedCount: number;
  readonly unknown: readonly string[];
  readonly stale: readonly string[];
}

export interface LeaseModified {
  /** undefined: given back. */
  readonly expireAt: number | undefined;
  readonly stale: readonly string[];
}

export interface Redriven {
  readonly redrivenCount: number;
  /** Not DEAD in this inbox. */
  readonly unknown: readonly string[];
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Key of the last item, to go on after; undefined: this was the last page. */
  readonly next: string | undefined;
}

export interface ReceiptPage extends Page<Receipt> {
  readonly recipientCount: number;
  readonly readCount: number;
  readonly deadCount: number;
}

/** An inbox in the eyes of whoever watches the fleet. */
export interface Inbox {
  readonly agent: string;
  readonly registered: boolean;
  /** UNREAD, LEASED, and what is due to be DEAD: swept within a second. */
  readonly unreadCount: number;
  /** Of the first of these; undefined: there is none. */
  readonly oldestUnreadAt: number | undefined;
  /** undefined: never. */
  readonly lastSeenAt: number | undefined;
}

export interface Space {
  /** With its journal. */
  readonly databaseBytes: number;
  /** Of these, the journal's. */
  readonly journalBytes: number;
  /** Left on its disk; undefined: the store can't know. */
  readonly freeBytes: number | undefined;
}

export interface Store {
  /** One transaction, one outcome an item, in order; a refused item leaves no trace and fails only itself. */
  send(messages: readonly NewMessage[]): Promise<readonly (Sent | BusError)[]>;
  /** Registers the agent. Throws REQUEST_ID_REUSED. */
  pull(pull: Pull): Promise<Pulled>;
  ack(agent: string, messageIds: readonly string[], leaseId: string | undefined): Promise<Acked>;
  /** Throws STALE_LEASE when nothing is held any more. */
  extendLease(agent: string, leaseId: string, ms: number): Promise<LeaseModified>;
  /** Costs no attempt. `messageIds` undefined: all that the lease holds. Never fails for what is no longer held. */
  giveBack(agent: string, leaseId: string, messageIds: readonly string[] | undefined): Promise<LeaseModified>;
  /** `description` undefined: unchanged. */
  registerAgent(agent: string, description: string | undefined): Promise<Agent>;
  /** Resolves to the number of deliveries that are DEAD by this. Throws UNKNOWN_AGENT; without force INBOX_NOT_EMPTY. */
  removeAgent(agent: string, force: boolean): Promise<number>;
  listAgents(query: AgentQuery): Promise<Page<Agent>>;
  /** Every inbox that is registered or has mail, by name: what costs little to tell, however much mail there is. */
  inboxes(limit: number, after: string | undefined): Promise<Page<Inbox>>;
  /** Names of registered agents, in order; at most `max`. */
  agentNames(max: number): Promise<readonly string[]>;
  /** undefined: none that this agent sent or received. */
  getMessage(agent: string, messageId: string): Promise<MessageView | undefined>;
  /** undefined: no such message. By recipient's name. */
  getReceipt(messageId: string, limit: number, after: string | undefined): Promise<ReceiptPage | undefined>;
  /** `messageIds` undefined: all that is DEAD in this inbox. */
  redrive(agent: string, messageIds: readonly string[] | undefined): Promise<Redriven>;
  /** Newest first; a page may be short and not the last. */
  listMessages(query: HistoryQuery): Promise<Page<MessageView>>;
  /** Writes down a slice of what is DEAD, with its bounces. Resolves to whether more may be due. */
  sweep(): Promise<boolean>;
  /** Makes a slice of new mail findable. Resolves to whether more waits. */
  index(): Promise<boolean>;
  /** Deletes a slice of what was kept long enough. Resolves to whether this pass has more to look at. */
  retain(): Promise<boolean>;
  /** undefined: no token in force has this hash. A revoked one is gone within a second. */
  findToken(hash: Uint8Array): Promise<TokenRecord | undefined>;
  /** How much the mail takes, and how much there is. */
  space(): Promise<Space>;
  /** Throws unless mail can be read and written right now. */
  check(): Promise<void>;
  /** Waits for what is under way, then closes; later calls fail. */
  close(): Promise<void>;
}

export interface HistoryQuery {
  readonly agent: string;
  readonly box: "INBOX" | "SENT" | "DEAD";
  /** Only mail exchanged with this agent. */
  readonly peer: string | undefined;
  readonly inReplyTo: string | undefined;
  /** Only mail with all of these words. */
  readonly text: string | undefined;
  readonly since: number | undefined;
  readonly until: number | undefined;
  readonly limit: number;
  readonly after: string | undefined;
  readonly maxBodyBytes: number;
}

export interface AgentQuery {
  /** Only names or descriptions that contain this, in any case. Empty: all. */
  readonly text: string;
  /** Also names that mail waits for and nobody registered. */
  readonly includeUnregistered: boolean;
  readonly limit: number;
  readonly after: string | undefined;
}
