/**
 * The tools that write: send, answer, broadcast, ack. They must not know whether a bus can be reached: what can't be
 * sent now may be kept, and is then called queued, never sent.
 */
import { z } from "zod";
import type { Sent } from "../client/bus-client.ts";
import { MAX_TTL_SECONDS } from "../message.ts";
import { knownFailure, ToolFailure } from "./failure.ts";
import { type Answer, type Answerable, type Desk, tool } from "./tool.ts";

/** A thousand is what the bus takes; nobody was shown as many. */
const MAX_ACKS = 100;
const KEPT =
  "It is kept on this host and sent by itself once the bus takes it: by this server while it runs, else with your next message. Don't send it again.";

const body = z.string().describe("Say all that the reader needs: they know nothing of your session.");
const subject = z.string().describe("At most 1 KiB.");
const ttlSeconds = z.int().min(1).max(MAX_TTL_SECONDS).optional().describe("Worthless if unread after this long.");

/** Each call is a message of its own: what a client repeats by itself is stored once, what a model repeats twice. */
const WRITES = { readOnlyHint: false, destructiveHint: false, idempotentHint: false };

const sendMessage = tool({
  name: "send_message",
  description:
    "Send a message to one agent. It waits in their inbox until they read it. Not for answers: reply keeps the thread.",
  input: z.strictObject({
    to: z.string().describe("Name of an agent; list_agents knows them."),
    subject,
    body,
    ttl_seconds: ttlSeconds,
  }),
  hints: WRITES,
  run: async ({ bus }, { to, subject, body, ttl_seconds }, { traceparent }) =>
    sentAnswer(`to ${to}`, await bus.send({ to, subject, body, ttlSeconds: ttl_seconds, traceparent })),
});

const reply = tool({
  name: "reply",
  description: "Answer a message and mark it as read.",
  input: z.strictObject({
    message_id: z.string(),
    body,
    subject: z.string().optional().describe('Default: "Re: " and the subject answered.'),
    ack: z.boolean().default(true).describe("false: leave the message unread."),
  }),
  hints: WRITES,
  async run(desk, { message_id, body, subject, ack }, { traceparent }) {
    const message = desk.shown.find(message_id) ?? (await answerable(desk, message_id));
    const sent = await desk.bus.reply(message, { body, subject, traceparent });
    const { text, data } = sentAnswer(`to ${message.sender}`, sent);
    const acked = ack ? await ackAnswered(desk, message_id, sent) : "It stays unread.";
    return {
      text: `${text} ${acked ?? "The message you answered is marked as read."}`,
      data: { ...data, acked: acked === undefined, ack_note: acked },
    };
  },
});

const broadcast = tool({
  name: "broadcast",
  description: "Send a message to every registered agent but you. Each of them spends time on it: use it rarely.",
  input: z.strictObject({ subject, body, ttl_seconds: ttlSeconds }),
  hints: WRITES,
  run: async ({ bus }, { subject, body, ttl_seconds }, { traceparent }) =>
    sentAnswer("to all agents", await bus.broadcast({ subject, body, ttlSeconds: ttl_seconds, traceparent })),
});

const ackMessages = tool({
  name: "ack_messages",
  description: "Mark messages of your inbox as read, so that they don't come again. Their text can still be shown.",
  input: z.strictObject({ message_ids: z.array(z.string()).min(1).max(MAX_ACKS) }),
  hints: { readOnlyHint: false, destructiveHint: false, idempotentHint: true },
  async run({ bus, agent }, { message_ids }) {
    const { ackedCount, unknownMessageIds, staleMessageIds } = await bus.rpc.ack({ agent, messageIds: message_ids });
    const text = [
      `${ackedCount} marked as read.`,
      ...(unknownMessageIds.length > 0 ? [`Not in your inbox: ${unknownMessageIds.join(" ")}.`] : []),
      ...(staleMessageIds.length > 0 ? [`Dead letters, not marked: ${staleMessageIds.join(" ")}.`] : []),
    ].join(" ");
    const data = { acked_count: ackedCount, unknown_ids: unknownMessageIds, stale_ids: staleMessageIds };
    return { text, data };
  },
});

export const writingTools = [sendMessage, reply, ackMessages, broadcast];

async function answerable({ bus, agent }: Desk, messageId: string): Promise<Answerable> {
  const { message } = await bus.rpc.getMessage({ agent, messageId });
  if (message === undefined) throw new Error("a bus answered without a message");
  if (message.sender !== agent) return message;
  throw new ToolFailure("INVALID_FIELD", `${messageId} is your own message; use send_message to write to its reader`);
}

function sentAnswer(whom: string, sent: Sent): Answer {
  if (sent.status === "queued") {
    const { status, requestId, waiting, reason } = sent;
    const note = `QUEUED, not sent yet (${reason}). ${KEPT}`;
    return { text: `${note} ${waiting} wait.`, data: { status, note, request_id: requestId, waiting } };
  }
  const { status, id, recipientCount, notice } = sent;
  const inboxes = recipientCount === 1 ? "" : ` (${recipientCount} inboxes)`;
  return {
    text: `Sent ${whom}${inboxes}, id ${id}.${notice === "" ? "" : ` Note: ${notice}`}`,
    data: { status, id, recipient_count: recipientCount, notice: notice || undefined },
  };
}

/**
 * undefined: it is read now; else why not. The answer is on its way by then, so no failure here may look as if it were
 * not: a model would answer twice.
 */
async function ackAnswered({ bus, agent }: Desk, messageId: string, sent: Sent): Promise<string | undefined> {
  const later = "Your answer stands: don't repeat it, but ack_messages that one later.";
  if (sent.status === "queued") return `The message you answered stays unread. ${later}`;
  try {
    const { ackedCount } = await bus.rpc.ack({ agent, messageIds: [messageId] });
    return ackedCount === 1 ? undefined : "The message you answered is not unread mail of yours: nothing to mark.";
  } catch (error) {
    const failure = knownFailure(error);
    if (failure === undefined) throw error;
    return `The message you answered could not be marked as read (${failure.message}). ${later}`;
  }
}
