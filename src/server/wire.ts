/**
 * Domain values as generated messages. It translates and decides nothing.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { AgentSchema, type Agent as WireAgent } from "#gen/agentbus/v1/agent_pb.js";
import {
  Box,
  BroadcastResponseSchema,
  PullInboxResponseSchema,
  ReceiptSchema,
  SendBatchResultSchema,
  SendResponseSchema,
} from "#gen/agentbus/v1/message_bus_pb.js";
import { MessageSchema, type Message as WireMessage, DeliveryState as WireState } from "#gen/agentbus/v1/message_pb.js";
import { BusError, invalidFields } from "../errors.ts";
import type { Agent, DeliveryState, Message, MessageView, Receipt } from "../message.ts";
import type { PullAnswer, SendAnswer } from "../requests.ts";
import { codes } from "./error-codes.ts";

const states: Readonly<Record<DeliveryState, WireState>> = {
  UNREAD: WireState.UNREAD,
  LEASED: WireState.LEASED,
  READ: WireState.READ,
  DEAD: WireState.DEAD,
};

/** Absent stays absent: protobuf-es takes no undefined for an optional field. */
function present<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

export function wireTime(ms: number | undefined): Timestamp | undefined {
  return ms === undefined ? undefined : timestampFromMs(ms);
}

export function wireMessage(message: Message): WireMessage {
  return create(MessageSchema, messageFields(message));
}

export function wireView(view: MessageView): WireMessage {
  const { state, deadReason } = view;
  return create(MessageSchema, { ...messageFields(view), ...present({ state: state && states[state], deadReason }) });
}

function messageFields(message: Message): MessageInitShape<typeof MessageSchema> {
  const { id, sender, recipient, subject, body, inReplyTo, hops, bodySize, traceparent, deliveryAttempt } = message;
  return {
    id,
    sender,
    recipient,
    subject,
    body,
    timestamp: timestampFromMs(message.timestamp),
    ...present({
      inReplyTo,
      hops: hops || undefined,
      expireTime: wireTime(message.expireAt),
      bodySize,
      traceparent,
      deliveryAttempt: deliveryAttempt || undefined,
    }),
  };
}

export function wireAgent(agent: Agent): WireAgent {
  const { name, description, unreadCount, deadCount } = agent;
  return create(AgentSchema, {
    name,
    description,
    unreadCount,
    deadCount,
    ...present({
      registeredTime: wireTime(agent.registeredAt),
      lastSeenTime: wireTime(agent.lastSeenAt),
      oldestUnreadTime: wireTime(agent.oldestUnreadAt),
    }),
  });
}

export function wireReceipt(receipt: Receipt) {
  const { recipient, state, deliveryAttempt, replyMessageIds, deadReason } = receipt;
  return create(ReceiptSchema, {
    recipient,
    state: states[state],
    deliveryAttempt,
    replyMessageIds: [...replyMessageIds],
    ...present({
      firstPulledTime: wireTime(receipt.firstPulledAt),
      readTime: wireTime(receipt.readAt),
      deadTime: wireTime(receipt.deadAt),
      deadReason,
      lastSeenTime: wireTime(receipt.lastSeenAt),
    }),
  });
}

export function wireSent(answer: SendAnswer) {
  return create(SendResponseSchema, { ...answer, timestamp: timestampFromMs(answer.timestamp) });
}

export function wireBroadcast({ recipientKnown: _, ...answer }: SendAnswer) {
  return create(BroadcastResponseSchema, { ...answer, timestamp: timestampFromMs(answer.timestamp) });
}

export function wireBatchResult(outcome: SendAnswer | BusError) {
  if (!(outcome instanceof BusError)) {
    return create(SendBatchResultSchema, { outcome: { case: "response", value: wireSent(outcome) } });
  }
  const { reason, violations, retryAfterMs } = outcome.refusal;
  const value = {
    code: codeName(codes[reason]),
    reason,
    message: outcome.message,
    field: violations?.[0]?.field ?? "",
    ...present({ retryAfterMs }),
  };
  return create(SendBatchResultSchema, { outcome: { case: "error", value } });
}

export function wirePulled({ messages, hasMore, lease }: PullAnswer) {
  return create(PullInboxResponseSchema, {
    messages: messages.map(wireMessage),
    hasMore,
    ...present({ leaseId: lease?.id, leaseExpireTime: wireTime(lease?.expireAt) }),
  });
}

/** As Connect writes a code: "resource_exhausted". */
export function codeName(code: Code): string {
  return (Code[code] ?? "unknown").replace(/(?<!^)([A-Z])/g, "_$1").toLowerCase();
}

/** Which side of the history; unspecified is the inbox. An unknown number is no box. */
export function domainBox(box: Box): "INBOX" | "SENT" | "DEAD" {
  switch (box) {
    case Box.UNSPECIFIED:
    case Box.INBOX:
      return "INBOX";
    case Box.SENT:
      return "SENT";
    case Box.DEAD:
      return "DEAD";
    default:
      throw invalidFields([
        { field: "box", description: `must be BOX_INBOX, BOX_SENT or BOX_DEAD, not ${String(box)}` },
      ]);
  }
}
