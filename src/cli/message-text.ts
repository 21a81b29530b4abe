/** Sets mail in words, much like an e-mail. It must not know whether it is being read for the first time. */
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { DeliveryState, type Message } from "#gen/agentbus/v1/message_pb.js";
import { oneLine, withoutControls } from "./visible-text.ts";

/** RFC 3339 in UTC; empty for a time that is not. */
export function timeText(time: Timestamp | undefined): string {
  return time === undefined ? "" : timestampDate(time).toISOString();
}

/**
 * Each message ends with a line that names its id: the one line that a sender can't put into a body, because the bus
 * chooses the id afterwards.
 */
export function messageText(message: Message, onTerminal: boolean): string {
  const attempt = message.deliveryAttempt ?? 0;
  const headings: [string, string][] = [
    ["From", message.sender],
    ["To", message.recipient],
    ["Date", timeText(message.timestamp)],
    ["Subject", message.subject],
    ["Id", message.id],
    ["In-Reply-To", message.inReplyTo ?? ""],
    ["Expires", timeText(message.expireTime)],
    ["Attempt", attempt > 1 ? String(attempt) : ""],
    ["State", message.state === undefined ? "" : DeliveryState[message.state]],
    ["Dead-Because", message.deadReason ?? ""],
  ];
  const head = headings.filter(([name, value]) => value !== "" || name === "Subject");
  const body = onTerminal ? withoutControls(message.body) : message.body;
  return [
    ...head.map(([name, value]) => `${name}: ${oneLine(value)}\n`),
    `\n${body}${body === "" || body.endsWith("\n") ? "" : "\n"}`,
    `--- end of ${message.id} ---\n`,
  ].join("");
}
