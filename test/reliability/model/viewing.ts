/** The model of what only reads: agents, single messages, receipts and the history. */
import { type Agent, ALL, MAX_RECEIPT_REPLIES, type MessageView, type Receipt } from "#dist/message.js";
import type { AgentQuery, HistoryQuery, Page, ReceiptPage } from "#dist/store.js";
import { type Delivery, type Mail, type ModelAgent, type ModelMessage, messageOf } from "./mail.ts";

/** When an agent was last seen may lag, and is compared by other means: it is left out here. */
export function agentOf(mail: Mail, { name, description, registeredAt }: ModelAgent): Agent {
  const unread = mail.inbox(name, "UNREAD", "LEASED");
  return {
    name,
    description,
    registeredAt,
    lastSeenAt: undefined,
    unreadCount: unread.length,
    // Reading: the oldest is what stands first; a redriven message is at the end, whatever its age.
    oldestUnreadAt: unread[0]?.message.at,
    deadCount: mail.inbox(name, "DEAD").length,
  };
}

/** By name. Of those that nobody registered only the ones that mail waits for. */
export function listAgents(mail: Mail, { text, includeUnregistered, limit, after }: AgentQuery): Page<Agent> {
  const has = (value: string) => value.toLowerCase().includes(text.toLowerCase());
  const agents = [...mail.agents.values()]
    .filter((agent) => has(agent.name) || has(agent.description))
    .map((agent) => agentOf(mail, agent))
    .filter((agent) => agent.registeredAt !== undefined || (includeUnregistered && agent.unreadCount > 0));
  return pageOf(agents, ({ name }) => name, limit, after);
}

/** A message is seen by its sender and its recipients. */
export function getMessage(mail: Mail, agent: string, messageId: string): MessageView | undefined {
  const message = mail.messages.find(({ id }) => id === messageId);
  const delivery = mail.delivery(agent, messageId);
  if (message === undefined || (delivery === undefined && message.sender !== agent)) return undefined;
  return viewOf(mail, message, agent, undefined);
}

/** Without a state for one who only sent it. */
function viewOf(mail: Mail, message: ModelMessage, agent: string, maxBodyBytes: number | undefined): MessageView {
  const delivery = mail.delivery(agent, message.id);
  // Reading: a mere sender sees the expiry that any of the copies still has.
  const expiries = mail.deliveries.filter((one) => one.message === message).map(({ expireAt }) => expireAt ?? 0);
  const asSender = { attempts: 0, expireAt: Math.max(0, ...expiries) || undefined };
  const state = delivery && mail.stateOf(delivery);
  return {
    ...messageOf(message, delivery ?? asSender, maxBodyBytes),
    state: state?.state,
    deadReason: state?.deadReason,
  };
}

export function getReceipt(mail: Mail, id: string, limit: number, after: string | undefined): ReceiptPage | undefined {
  const message = mail.messages.find((one) => one.id === id);
  if (message === undefined) return undefined;
  const deliveries = mail.deliveries.filter((one) => one.message === message);
  const count = (state: "READ" | "DEAD") => deliveries.filter((one) => mail.is(one, state)).length;
  const receipts = deliveries.map((one) => receiptOf(mail, one));
  return {
    recipientCount: deliveries.length,
    readCount: count("READ"),
    deadCount: count("DEAD"),
    ...pageOf(receipts, ({ recipient }) => recipient, limit, after),
  };
}

function receiptOf(mail: Mail, delivery: Delivery): Receipt {
  const { message, inbox, attempts, firstPulledAt, readAt } = delivery;
  const { state, deadAt, deadReason } = mail.stateOf(delivery);
  const replies = mail.messages.filter((one) => one.inReplyTo === message.id && one.sender === inbox);
  return {
    recipient: inbox,
    state,
    deliveryAttempt: attempts,
    firstPulledAt,
    readAt,
    deadAt,
    deadReason,
    replyMessageIds: replies.map(({ id }) => id).slice(0, MAX_RECEIPT_REPLIES),
    lastSeenAt: undefined,
  };
}

/** Newest first, by the inbox's order or the messages' own. The key of a page is the place of its last item. */
export function listMessages(mail: Mail, query: HistoryQuery): Page<MessageView> {
  const { agent, box, text, limit, after, maxBodyBytes } = query;
  const deliveries = mail.deliveries.filter((one) => one.inbox === agent && (box !== "DEAD" || mail.is(one, "DEAD")));
  // Reading: a search goes by the messages' order, where a redriven message has kept its place.
  const placed =
    box === "SENT"
      ? mail.messages.filter(({ sender }) => sender === agent).map((message) => ({ message, place: message.order }))
      : deliveries.map(({ message, place }) => ({ message, place: text === undefined ? place : message.order }));
  const found = placed
    .filter(({ message, place }) => matches(message, query) && (after === undefined || place < Number(after)))
    .sort((a, b) => b.place - a.place);
  const page = found.slice(0, limit);
  return {
    items: page.map(({ message }) => viewOf(mail, message, agent, maxBodyBytes)),
    // A full page may be the last one: nobody looked any further.
    next: page.length === limit ? String(page.at(-1)?.place) : undefined,
  };
}

function matches(message: ModelMessage, { box, peer, inReplyTo, text, since, until }: HistoryQuery): boolean {
  const { sender, recipient, at } = message;
  // Reading: a broadcast was sent to ALL, not to each.
  const other = box === "SENT" ? (recipient === ALL ? undefined : recipient) : sender;
  return (
    (peer === undefined || other === peer) &&
    (inReplyTo === undefined || message.inReplyTo === inReplyTo) &&
    (since === undefined || at >= since) &&
    (until === undefined || at < until) &&
    (text === undefined || wordsOf(text).every((word) => wordsOf(`${message.subject} ${message.body}`).includes(word)))
  );
}

/** For the texts of this test. */
function wordsOf(text: string): string[] {
  return text.toLowerCase().split(/[^\p{L}\p{N}]+/u);
}

function pageOf<T>(all: readonly T[], keyOf: (item: T) => string, limit: number, after: string | undefined): Page<T> {
  const sorted = [...all].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const rest = sorted.filter((item) => after === undefined || keyOf(item) > after);
  const items = rest.slice(0, limit);
  const last = items.at(-1);
  return { items, next: rest.length > limit && last !== undefined ? keyOf(last) : undefined };
}
