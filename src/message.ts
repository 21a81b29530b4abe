/**
 * What an agent, a message and a delivery are: names, states and the limits of both. The words of the whole project
 * start here; it knows no store, no transport and no clock.
 */

// Limits of the contract. Those that a person may set are in config.ts, with these as bounds or defaults.
export const MAX_NAME_LENGTH = 64;
/** Bytes of UTF-8. */
export const MAX_SUBJECT_BYTES = 1024;
/** Bytes of UTF-8. */
export const MAX_DESCRIPTION_BYTES = 1024;
/** Bytes of UTF-8, unless set otherwise. */
export const DEFAULT_MAX_BODY_BYTES = 256 * 1024;
/** Bytes of UTF-8: the most it may be set to. */
export const MAX_MAX_BODY_BYTES = 2 * 1024 * 1024;
/** Visible ASCII characters. */
export const MAX_REQUEST_ID_LENGTH = 128;
/** Visible ASCII characters: of a message's id as somebody else may write it. */
export const MAX_MESSAGE_ID_LENGTH = 128;
export const MAX_TRACEPARENT_LENGTH = 55;
export const MAX_TTL_SECONDS = 31_536_000;
export const MAX_LEASE_SECONDS = 43_200;
export const MAX_BATCH_ITEMS = 1000;
export const MAX_IDS = 1000;
export const MAX_WAIT_SECONDS = 50;
export const DEFAULT_PULL_MESSAGES = 50;
/** Fewer under a lease: one crash must not burn the attempts of fifty. */
export const DEFAULT_LEASE_MESSAGES = 10;
export const MAX_PULL_MESSAGES = 1000;
export const DEFAULT_PULL_BYTES = 1024 * 1024;
export const MAX_PULL_BYTES = 3 * 1024 * 1024;
export const DEFAULT_PAGE_SIZE = 100;
export const MAX_PAGE_SIZE = 1000;
export const DEFAULT_HISTORY_PAGE_SIZE = 50;
/** Bytes of each body in a history, unless asked otherwise. */
export const DEFAULT_HISTORY_BODY_BYTES = 1024;
/** Bytes of UTF-8: of a search. */
export const MAX_SEARCH_BYTES = 1024;
/** Bytes of one request, whatever it holds. */
export const MAX_REQUEST_BYTES = 4 * 1024 * 1024;
/** Replies named in one receipt. */
export const MAX_RECEIPT_REPLIES = 20;
/** How long a repeated mark_read pull gets the same messages. */
export const REPEAT_READ_MS = 3_600_000;

/** The recipient that makes a Send a broadcast. */
export const ALL = "ALL";
/** Who sends bounces. Nobody else may, and nobody can write to it. */
export const BUS = "bus";

/** Where one message in one inbox is in its life. */
export type DeliveryState = "UNREAD" | "LEASED" | "READ" | "DEAD";

export type DeadReason = "ATTEMPTS_EXHAUSTED" | "EXPIRED" | "RECIPIENT_REMOVED" | "INBOX_FULL";

/** What an agent is to others. Times are milliseconds since 1970, UTC; undefined: never, or none. */
export interface Agent {
  readonly name: string;
  readonly description: string;
  readonly registeredAt: number | undefined;
  readonly lastSeenAt: number | undefined;
  readonly unreadCount: number;
  readonly oldestUnreadAt: number | undefined;
  readonly deadCount: number;
}

/** One text as it was stored, together with the state of the one delivery that it was read from. */
export interface Message {
  readonly id: string;
  readonly sender: string;
  /** An agent's name, or ALL. */
  readonly recipient: string;
  readonly subject: string;
  readonly body: string;
  readonly timestamp: number;
  readonly inReplyTo: string | undefined;
  readonly hops: number;
  readonly expireAt: number | undefined;
  /** Bytes of the whole body; only where `body` was cut. */
  readonly bodySize: number | undefined;
  readonly traceparent: string | undefined;
  /** Leases so far; 0: never leased. */
  readonly deliveryAttempt: number;
}

/** A message in the eyes of one agent; without a state for one who only sent it. */
export interface MessageView extends Message {
  readonly state: DeliveryState | undefined;
  readonly deadReason: DeadReason | undefined;
}

/** What became of a message in one inbox. */
export interface Receipt {
  readonly recipient: string;
  readonly state: DeliveryState;
  readonly deliveryAttempt: number;
  readonly firstPulledAt: number | undefined;
  readonly readAt: number | undefined;
  readonly deadAt: number | undefined;
  readonly deadReason: DeadReason | undefined;
  readonly replyMessageIds: readonly string[];
  readonly lastSeenAt: number | undefined;
}

/** Agent names are folded to lower case, "ALL" to upper: "Jack" reaches jack. */
export function foldName(name: string): string {
  // ASCII only: toLowerCase() would also turn the Kelvin sign into a k.
  const folded = name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return folded === "all" ? ALL : folded;
}

/** As the recommendation has it (W3C Trace Context): lower case, no version ff, neither id all zeros. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

export function isTraceparent(text: string): boolean {
  return TRACEPARENT.test(text);
}

export function utf8Bytes(text: string): number {
  return Buffer.byteLength(text, "utf8");
}

/** The text of UTF-8 `bytes` that were cut anywhere: a character that is not whole at the end is left out. */
export function textOfCut(bytes: Uint8Array): string {
  // In stream mode a decoder keeps back an unfinished last character instead of replacing it.
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes, { stream: true });
}
