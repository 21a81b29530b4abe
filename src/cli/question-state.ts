/** Says in words how far a question got that was not answered. It must not know who waits for the answer. */
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import type { Receipt } from "#gen/agentbus/v1/message_bus_pb.js";
import { DeliveryState } from "#gen/agentbus/v1/message_pb.js";
import type { MessageBusClient } from "../client/connect-bus.ts";
import { durationText } from "./duration.ts";

/** Goes on after "The question ID"; never fails: what can't be found out is left out. */
export async function stateOfQuestion(bus: MessageBusClient, messageId: string): Promise<string> {
  try {
    const { recipientCount, readCount, receipts } = await bus.getReceipt({ messageId, pageSize: 1 });
    const [receipt] = receipts;
    if (recipientCount !== 1 || receipt === undefined) return `was read by ${readCount} of ${recipientCount} agents`;
    return stateOf(receipt);
  } catch {
    return "is on the bus";
  }
}

function stateOf({ recipient, state, readTime, lastSeenTime, deadReason }: Receipt): string {
  if (state === DeliveryState.READ) return `was read by ${recipient} ${ago(readTime)}`;
  if (state === DeliveryState.LEASED) return `is being worked on by ${recipient}`;
  if (state === DeliveryState.DEAD) return `is a dead letter (${deadReason})`;
  const seen = lastSeenTime === undefined ? "was never seen on this bus" : `was last seen ${ago(lastSeenTime)}`;
  return `is unread; ${recipient} ${seen}`;
}

function ago(time: Timestamp | undefined): string {
  return time === undefined ? "" : `${durationText(Date.now() - timestampDate(time).getTime())} ago`;
}
