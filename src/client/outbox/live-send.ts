/** Sends one letter over a generated client: a Send, or a Broadcast where only that can say it. It keeps nothing. */
import { create } from "@bufbuild/protobuf";
import {
  type SendRequest,
  SendRequestSchema,
  type SendResponse,
  SendResponseSchema,
} from "#gen/agentbus/v1/message_bus_pb.js";
import type { MessageBusClient } from "../connect-bus.ts";
import type { NamedLetter } from "./draft.ts";

/** Fails as MessageBusClient does, or as BusClient's does. Aborting the signal gives up waiting for the answer. */
export type LiveSend = (letter: NamedLetter, signal?: AbortSignal) => Promise<SendResponse>;

export function liveSendOver(bus: Pick<MessageBusClient, "send" | "broadcast">): LiveSend {
  return async (letter, signal) => {
    const options = signal && { signal };
    const request = sendRequestOf(letter);
    if (!letter.includeSender) return bus.send(request, options);
    const { recipient: _, $typeName: __, ...fields } = request;
    const includeSender = true;
    const { $typeName: ___, ...answer } = await bus.broadcast({ ...fields, includeSender }, options);
    return create(SendResponseSchema, { ...answer, recipientKnown: true });
  };
}

/** Of a broadcast that includes its sender, all but that. */
export function sendRequestOf(letter: NamedLetter): SendRequest {
  const { sender, recipient, subject, body, requestId, inReplyTo, ttlSeconds, traceparent } = letter;
  // In a message of protobuf-es, absent is not the same as undefined.
  return create(SendRequestSchema, {
    sender,
    recipient,
    subject,
    body,
    requestId,
    ...(inReplyTo !== undefined && { inReplyTo }),
    ...(ttlSeconds !== undefined && { ttlSeconds }),
    ...(traceparent !== undefined && { traceparent }),
  });
}
