/**
 * What a draft is: a message that waits on this host for its bus. Words and limits of the outbox; it must not know how
 * drafts are kept, nor how they are sent.
 */

/** Drafts of one sender in one file, in whatever state. */
export const MAX_DRAFTS = 1000;
/** An older draft is not sent any more: the bus remembers a request_id for 60 days, so a repeat is safe till then. */
export const MAX_DRAFT_AGE_MS = 30 * 86_400_000;
/** After INBOX_FULL that recipient's drafts wait this long before the oldest of them is tried again. */
export const PARKED_MS = 60_000;
/** So many answers "internal" and a draft is set aside. */
export const MAX_INTERNAL_ERRORS = 5;

/**
 * waiting: for its turn. parked: its recipient's inbox was full. set aside: refused for good. expired: its ttl is over,
 * or it is older than MAX_DRAFT_AGE_MS. The last two stay until a person drops or retries them.
 */
export type DraftState = "waiting" | "parked" | "set aside" | "expired";

/** What a caller wants to be sent: the fields of SendRequest, and include_sender of a broadcast. */
export interface Letter {
  readonly sender: string;
  /** An agent, or ALL. */
  readonly recipient: string;
  readonly subject: string;
  readonly body: string;
  readonly inReplyTo?: string | undefined;
  readonly ttlSeconds?: number | undefined;
  /** Absent: one is made. */
  readonly requestId?: string | undefined;
  readonly traceparent?: string | undefined;
  /** Only of a broadcast: also into the sender's own inbox. */
  readonly includeSender?: boolean | undefined;
}

/** A Send that is safe to repeat. */
export type NamedLetter = Letter & { readonly requestId: string };

/** Whose drafts: one bus and one sender. */
export interface Owner {
  /** As busKey() writes it. */
  readonly bus: string;
  readonly sender: string;
}

/** All of a draft but its body. Times are milliseconds since 1970, UTC. */
export interface DraftHead extends Owner {
  /** Names it on this host; never given twice. Lower is older. */
  readonly id: number;
  readonly recipient: string;
  readonly subject: string;
  readonly inReplyTo: string | undefined;
  readonly traceparent: string | undefined;
  readonly includeSender: boolean;
  /** Fixed when the draft was kept. */
  readonly requestId: string;
  readonly keptAt: number;
  /** When its ttl is over; undefined: it has none. */
  readonly deadlineAt: number | undefined;
  readonly state: DraftState;
  /** Why it is not sent yet, or never will be; what the last try was told. */
  readonly reason: string;
  /** Of a parked one: when it is tried again. */
  readonly retryAt: number | undefined;
  /** A try of it may have arrived, though nothing was answered. */
  readonly mayHaveArrived: boolean;
}

export interface Draft extends DraftHead {
  readonly body: string;
}

/** The name of a bus whose nodes have these addresses, in whatever order they are listed. */
export function busKey(urls: readonly string[]): string {
  const nodes = urls.map((url) => {
    const { origin, pathname } = new URL(url);
    return origin + pathname.replace(/\/+$/, "");
  });
  return [...new Set(nodes)].sort().join(",");
}
