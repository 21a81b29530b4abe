/** Tells a bounce from other mail. It knows no more of a message than who sent it. */
import type { Message } from "#gen/agentbus/v1/message_pb.js";
import { BUS } from "../message.ts";

/** The bus says that a message of yours became a dead letter: `inReplyTo` is its id, the body says why. Don't answer it. */
export function isBounce(message: Pick<Message, "sender">): boolean {
  return message.sender === BUS;
}
