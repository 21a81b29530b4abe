/**
 * What the tools need of a bus to write: to send, live or by way of an outbox. It must not know tools.
 */
import { v7 as uuidv7 } from "uuid";
import type { MessageBusClient } from "../client/connect-bus.ts";
import type { Answerable } from "./tool.ts";

export type Sent =
  | {
      readonly status: "sent";
      readonly id: string;
      readonly recipientKnown: boolean;
      readonly recipientCount: number;
      readonly notice: string;
    }
  | { readonly status: "queued"; readonly requestId: string; readonly waiting: number };

export interface Content {
  readonly subject: string;
  readonly body: string;
  readonly ttlSeconds?: number | undefined;
}

export interface Bus {
  readonly rpc: MessageBusClient;
  send(message: Content & { readonly to: string }): Promise<Sent>;
  broadcast(message: Content): Promise<Sent>;
  reply(message: Answerable, answer: { readonly body: string; readonly subject?: string }): Promise<Sent>;
}

export function liveBus(rpc: MessageBusClient, agent: string): Bus {
  const sent = (answer: { id: string; recipientKnown?: boolean; recipientCount: number; notice: string }): Sent => ({
    status: "sent",
    id: answer.id,
    recipientKnown: answer.recipientKnown ?? true,
    recipientCount: answer.recipientCount,
    notice: answer.notice,
  });
  const ttl = (seconds: number | undefined) => (seconds === undefined ? {} : { ttlSeconds: seconds });
  return {
    rpc,
    send: async ({ to, subject, body, ttlSeconds }) =>
      sent(
        await rpc.send({
          sender: agent,
          recipient: to,
          subject,
          body,
          requestId: uuidv7(),
          ...ttl(ttlSeconds),
        }),
      ),
    broadcast: async ({ subject, body, ttlSeconds }) =>
      sent(await rpc.broadcast({ sender: agent, subject, body, requestId: uuidv7(), ...ttl(ttlSeconds) })),
    reply: async (message, { body, subject = `Re: ${message.subject}` }) =>
      sent(
        await rpc.send({
          sender: agent,
          recipient: message.sender,
          subject,
          body,
          inReplyTo: message.id,
          requestId: uuidv7(),
        }),
      ),
  };
}
