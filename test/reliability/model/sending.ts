/** The model of Send, SendBatch and Broadcast. */
import { ALL } from "#dist/message.js";
import type { NewMessage, Sent } from "#dist/store.js";
import { contentOf, type Delivery, type Mail, type ModelMessage, Refused } from "./mail.ts";

/** Each item is judged as if alone, in order; one bad item fails only itself. */
export function send(mail: Mail, messages: readonly NewMessage[]): (Sent | Refused)[] {
  return messages.map((message) => {
    try {
      return sendOne(mail, message);
    } catch (error) {
      if (error instanceof Refused) return error;
      throw error;
    }
  });
}

/** The checks in DESIGN's order, all before any write: dedup, recipient, hops, inbox cap, rate. */
function sendOne(mail: Mail, message: NewMessage): Sent {
  const { id, sender, recipient } = message;
  const registered = recipient === ALL || mail.isRegistered(recipient);
  const first = firstOf(mail, message);
  // A repeat is answered as the first time; whether the recipient is known speaks of now.
  if (first !== undefined) {
    const { at: timestamp, recipientCount } = first;
    const answer = { id: first.id, timestamp, recipientKnown: registered };
    if (first.id !== id) return { ...answer, deduplicated: true, recipientCount, fullInboxes: [] };
    // A node's own second try is the first answer that its caller gets: it still hears whose inbox is full.
    const copies = mail.deliveries.filter((one) => one.message === first);
    const full = copies.filter(({ dead }) => dead?.reason === "INBOX_FULL").map(({ inbox }) => inbox);
    // Its key remembers the first answer; without one only the copies tell, and one that was redriven meanwhile counts.
    const reached = message.key === undefined ? copies.length - full.length : recipientCount;
    return { ...answer, deduplicated: false, recipientCount: reached, fullInboxes: full.sort() };
  }
  // The sender is registered by this very Send.
  const recipientKnown = registered || recipient === sender;
  if (!recipientKnown && mail.policy.unknownRecipients === "reject") throw new Refused("UNKNOWN_AGENT");
  const hops = hopsOf(mail, message);
  if (hops > mail.policy.maxHops) throw new Refused("TOO_MANY_HOPS");
  if (recipient !== ALL && isFull(mail, recipient)) throw new Refused("INBOX_FULL");
  checkQuota(mail, sender);

  mail.register(sender);
  mail.quota.set(sender, [...(mail.quota.get(sender) ?? []), mail.now]);
  const { subject, body, inReplyTo, traceparent } = message;
  const stored = mail.store({ id, sender, recipient, subject, body, inReplyTo, traceparent, hops });
  const fullInboxes = deliverAll(mail, message, stored);
  if (message.key !== undefined) {
    mail.keys.set(`${sender} ${message.key.requestId}`, { content: contentOf(message), first: stored });
  }
  const { recipientCount } = stored;
  return { id, timestamp: mail.now, deduplicated: false, recipientKnown, recipientCount, fullInboxes };
}

/** The message that this one repeats: by its request key, or by the id that the node gave it at its first try. */
function firstOf(mail: Mail, message: NewMessage): ModelMessage | undefined {
  const key = message.key && mail.keys.get(`${message.sender} ${message.key.requestId}`);
  if (key !== undefined && key.content !== contentOf(message)) throw new Refused("REQUEST_ID_REUSED");
  return key?.first ?? mail.messages.find(({ id }) => id === message.id);
}

/** The parent's hops + 1; a parent that is unknown, purged or foreign counts as none. */
function hopsOf(mail: Mail, { sender, inReplyTo }: NewMessage): number {
  if (inReplyTo === undefined) return 0;
  const parent = mail.messages.find(({ id }) => id === inReplyTo);
  const seen = parent !== undefined && (parent.sender === sender || mail.delivery(sender, inReplyTo) !== undefined);
  return (seen ? parent.hops : 0) + 1;
}

function isFull(mail: Mail, inbox: string): boolean {
  return mail.inbox(inbox, "UNREAD", "LEASED").length >= mail.policy.maxInbox;
}

/** Never more than so many in any window. A message is in the window until it is that old. */
function checkQuota(mail: Mail, sender: string): void {
  const limit = mail.policy.rateLimit;
  const nth = limit && mail.quota.get(sender)?.at(-limit.count);
  if (limit === undefined || nth === undefined || nth + limit.windowMs <= mail.now) return;
  throw new Refused("RATE_LIMITED", nth + limit.windowMs - mail.now);
}

/** Into one inbox, or of a broadcast into those of all who are registered now. Answers whose inbox was full. */
function deliverAll(
  mail: Mail,
  { sender, recipient, includeSender, ttlMs }: NewMessage,
  message: ModelMessage,
): string[] {
  const registered = [...mail.agents.keys()].filter((name) => mail.isRegistered(name));
  const audience = registered.filter((name) => name !== sender || includeSender);
  const inboxes = recipient === ALL ? audience : [recipient];
  const full = inboxes.filter((inbox) => isFull(mail, inbox));
  const expireAt = ttlMs === undefined ? undefined : mail.now + ttlMs;
  for (const inbox of inboxes) {
    const delivery: Delivery = mail.deliver(message, inbox, expireAt);
    if (full.includes(inbox)) delivery.dead = { at: mail.now, reason: "INBOX_FULL" };
  }
  // Reading: a copy that is DEAD from the start lies there (the receipt has it), but has not reached anybody.
  message.recipientCount = inboxes.length - full.length;
  return full.sort();
}
