/**
 * The tool that reads mail. Reading changes nothing: what a model was shown and did not ack comes again. It must not
 * know how mail looks.
 */
import { z } from "zod";
import { MAX_MAX_BODY_BYTES, MAX_WAIT_SECONDS } from "../message.ts";
import { ToolFailure } from "./failure.ts";
import { cutOf, mailData, mailText, partOf, UNTRUSTED } from "./mail.ts";
import { type Answer, type Desk, tool } from "./tool.ts";

/** Bytes of subjects and bodies, about a quarter as many tokens. A host may refuse results above 25,000 tokens. */
const DEFAULT_BYTES = 16_000;
const MIN_BYTES = 1000;
const MAX_BYTES = 100_000;
/** Each message costs some 100 tokens besides its text. */
const MAX_MESSAGES = 20;
/** For all else than the waiting itself. */
const ANSWER_MS = 15_000;

const checkInbox = tool({
  name: "check_inbox",
  description:
    "Show your unread mail, oldest first. Marks nothing as read: ack_messages (or reply) what you have dealt with, or it comes again. With message_id, show that one message instead, read or not, received or sent by you.",
  input: z.strictObject({
    // Hosts give up on a tool after 60 seconds by default.
    wait_seconds: z
      .int()
      .min(0)
      .max(MAX_WAIT_SECONDS)
      .default(0)
      .describe("If there is no mail, wait for some this long."),
    max_bytes: z
      .int()
      .min(MIN_BYTES)
      .max(MAX_BYTES)
      .default(DEFAULT_BYTES)
      .describe("Budget for subjects and bodies. What is cut says so, and how to get the rest."),
    message_id: z.string().optional(),
    offset: z
      .int()
      .min(0)
      .max(MAX_MAX_BODY_BYTES)
      .default(0)
      .describe("With message_id: begin at this byte of the body."),
  }),
  hints: { readOnlyHint: true },
  run: (desk, input, { gone }) =>
    input.message_id === undefined ? unread(desk, input, gone) : one(desk, input.message_id, input),
});

export const readingTools = [checkInbox];

interface Budget {
  readonly max_bytes: number;
}

async function unread(
  { bus, agent, shown }: Desk,
  { wait_seconds, max_bytes }: Budget & { readonly wait_seconds: number },
  gone: AbortSignal,
): Promise<Answer> {
  const { messages, hasMore } = await bus.rpc.pullInbox(
    {
      agent,
      waitSeconds: wait_seconds,
      maxMessages: MAX_MESSAGES,
      maxBytes: max_bytes,
      // So that one long message does not keep the next one out.
      maxBodyBytes: Math.floor(max_bytes / 2),
    },
    { signal: gone, timeoutMs: wait_seconds * 1000 + ANSWER_MS },
  );
  for (const message of messages) shown.add(message);
  if (messages.length === 0) return { text: "No unread mail.", data: { messages: [], more_waiting: false } };
  const more = hasMore ? "MORE WAITS: ack these, then check again." : undefined;
  const count = `${messages.length} unread for ${agent}, oldest first.`;
  return {
    text: [
      [count, more, UNTRUSTED].filter((line) => line !== undefined).join(" "),
      ...messages.map((message) => mailText(message, partOf(message))),
    ].join("\n"),
    data: {
      messages: messages.map((message) => mailData(message, partOf(message))),
      more_waiting: hasMore,
      note: [UNTRUSTED, more].filter((line) => line !== undefined).join(" "),
    },
  };
}

async function one(
  { bus, agent, shown }: Desk,
  messageId: string,
  { offset, max_bytes }: Budget & { readonly offset: number },
): Promise<Answer> {
  const { message } = await bus.rpc.getMessage({ agent, messageId });
  if (message === undefined) throw new Error("a bus answered without a message");
  const part = cutOf(message.body, offset, max_bytes);
  if (offset > part.of) {
    throw new ToolFailure("INVALID_FIELD", `offset ${offset} lies behind the end of this body of ${part.of} bytes`);
  }
  if (message.sender !== agent) shown.add(message);
  return {
    text: `${UNTRUSTED}\n${mailText(message, part)}`,
    data: { messages: [mailData(message, part)], note: UNTRUSTED },
  };
}
