/**
 * The requests and answers of the bus as plain objects. Their properties are those of the generated messages, so that
 * a door hands its request over as it is; they know no generated code.
 */
import type { Agent, Message, MessageView, Receipt } from "./message.ts";

export interface SendRequest {
  readonly sender: string;
  readonly recipient: string;
  readonly subject: string;
  readonly body: string;
  readonly inReplyTo?: string | undefined;
  readonly ttlSeconds?: number | undefined;
  readonly requestId?: string | undefined;
  readonly traceparent?: string | undefined;
}

export interface BroadcastRequest extends Omit<SendRequest, "recipient"> {
  readonly includeSender: boolean;
}

export interface SendAnswer {
  readonly id: string;
  readonly timestamp: number;
  readonly deduplicated: boolean;
  readonly recipientKnown: boolean;
  readonly recipientCount: number;
  readonly notice: string;
}

export interface PullRequest {
  readonly agent: string;
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly maxBodyBytes: number;
  readonly waitSeconds: number;
  readonly markRead: boolean;
  readonly leaseSeconds: number;
  readonly requestId?: string | undefined;
}

/** Who is waiting for the answer of a pull. */
export interface Caller {
  /** Aborted when the caller hung up. */
  readonly gone: AbortSignal;
  /** Milliseconds until the caller's own deadline; undefined: none. */
  readonly timeLeftMs?: number | undefined;
  /** Asked after a wait, before anything is handed out. Throws when the caller would not be let in any more. */
  readonly stillAdmitted?: () => Promise<void>;
  /** Told how many milliseconds were waited for mail, each time it was. */
  readonly waited?: (ms: number) => void;
}

export interface PullAnswer {
  readonly messages: readonly Message[];
  readonly hasMore: boolean;
  /** `repeated`: an earlier pull took it, and may have its answer. */
  readonly lease: { readonly id: string; readonly expireAt: number; readonly repeated: boolean } | undefined;
}

export interface AckRequest {
  readonly agent: string;
  readonly messageIds: readonly string[];
  readonly leaseId?: string | undefined;
}

export interface ModifyLeaseRequest {
  readonly agent: string;
  readonly leaseId: string;
  readonly leaseSeconds?: number | undefined;
  readonly messageIds: readonly string[];
}

export interface RegisterAgentRequest {
  readonly agent: string;
  readonly description?: string | undefined;
}

export interface RemoveAgentRequest {
  readonly agent: string;
  readonly force: boolean;
}

export interface RedriveRequest {
  readonly agent: string;
  readonly messageIds: readonly string[];
}

export interface ListMessagesRequest extends PageRequest {
  readonly agent: string;
  readonly box: "INBOX" | "SENT" | "DEAD";
  readonly peer?: string | undefined;
  readonly inReplyTo?: string | undefined;
  readonly text?: string | undefined;
  /** Milliseconds since 1970, as all times. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  readonly maxBodyBytes: number;
}

export interface MessageList {
  readonly messages: readonly MessageView[];
  readonly nextPageToken: string;
}

export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

export interface ListAgentsRequest extends PageRequest {
  readonly query: string;
  readonly includeUnregistered: boolean;
}

export interface AgentList {
  readonly agents: readonly Agent[];
  readonly nextPageToken: string;
}

export interface GetMessageRequest {
  readonly agent: string;
  readonly messageId: string;
}

export interface GetReceiptRequest extends PageRequest {
  readonly messageId: string;
}

export interface ReceiptList {
  readonly recipientCount: number;
  readonly readCount: number;
  readonly deadCount: number;
  readonly receipts: readonly Receipt[];
  readonly nextPageToken: string;
}
