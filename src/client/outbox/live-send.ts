/** Sends one letter over a generated client: a Send, or a Broadcast where only that can say it. It keeps nothing. */
import { create } from "@bufbuild/protobuf";
import { type SendResponse, SendResponseSchema } from "#gen/agentbus/v1/message_bus_pb.js";
import type { MessageBusClient } from "../connect-bus.ts";
import type { NamedLetter } from "./draft.ts";

/** Fails as MessageBusClient does: with a ConnectError of the bus, or with an UnreachableError. */
export type LiveSend = (letter: NamedLetter) => Promise<SendResponse>;

export function liveSendOver(bus: Pick<MessageBusClient, "send" | "broadcast">): LiveSend {
  return async (letter) => {
    const { sender, recipient, subject, body, requestId, includeSender } = letter;
    const fields = { sender, subject, body, requestId, ...optionalFields(letter) };
    if (!includeSender) return bus.send({ ...fields, recipient });
    const { id, timestamp, deduplicated, recipientCount, notice } = await bus.broadcast({ ...fields, includeSender });
    const told = { id, deduplicated, recipientKnown: true, recipientCount, notice };
    return create(SendResponseSchema, { ...told, ...(timestamp && { timestamp }) });
  };
}

/** In a message of protobuf-es, absent is not the same as undefined. */
function optionalFields({ inReplyTo, ttlSeconds, traceparent }: NamedLetter) {
  return {
    ...(inReplyTo !== undefined && { inReplyTo }),
    ...(ttlSeconds !== undefined && { ttlSeconds }),
    ...(traceparent !== undefined && { traceparent }),
  };
}
