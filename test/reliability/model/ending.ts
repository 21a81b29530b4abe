/** The model of death and what comes after: sweep and bounce, removal, redrive, retention, and a clock set back. */
import { ALL, BUS, type DeadReason, type Message } from "#dist/message.js";
import type { Redriven } from "#dist/store.js";
import { type Bounce, type Delivery, HOUR, type Mail, Refused } from "./mail.ts";

const KEY_MS = 60 * 24 * HOUR;

/** Writes down every death, and the bounces with them. */
export function sweep(mail: Mail): Bounce[] {
  const due = mail.deliveries.filter((one) => one.dead === undefined && mail.is(one, "DEAD"));
  return buryAll(mail, due, undefined);
}

/** `force`: UNREAD and LEASED become DEAD. What was DEAD already keeps its own reason, and is not counted. */
export function remove(mail: Mail, name: string, force: boolean): { count: number; bounces: Bounce[] } {
  if (!mail.isRegistered(name)) throw new Refused("UNKNOWN_AGENT");
  const alive = mail.inbox(name, "UNREAD", "LEASED");
  if (alive.length > 0 && !force) throw new Refused("INBOX_NOT_EMPTY");
  const due = mail.inbox(name, "DEAD").filter(({ dead }) => dead === undefined);
  const bounces = buryAll(mail, [...alive, ...due], "RECIPIENT_REMOVED");
  // History, keys and quota stay.
  const agent = mail.keep(name);
  agent.registeredAt = undefined;
  agent.description = "";
  return { count: alive.length, bounces };
}

/** Reading: bounces of one transaction stand in the order of what died. */
function buryAll(mail: Mail, deliveries: Delivery[], otherwise: DeadReason | undefined): Bounce[] {
  return deliveries
    .sort((a, b) => a.place - b.place)
    .map((one) => {
      const { deadAt = mail.now, deadReason = otherwise } = mail.stateOf(one);
      one.dead = { at: deadAt, reason: deadReason as DeadReason };
      return bounce(mail, one);
    })
    .filter((letter) => letter !== undefined);
}

/** With the first DEAD that is written, at most one a message; never for a broadcast or a bounce. */
function bounce(mail: Mail, { message: original }: Delivery): Bounce | undefined {
  if (original.recipient === ALL || original.sender === BUS || original.bounced) return undefined;
  original.bounced = true;
  const { id, sender, traceparent } = original;
  // Ignores inbox cap, quota and hops (Reading: so it has none), and reaches removed senders too.
  const [subject, body] = ["", "learned from the engine"];
  const letter = { id: `bounce of ${id}`, sender: BUS, recipient: sender, subject, body, inReplyTo: id, traceparent };
  const message = mail.store({ ...letter, hops: 0 });
  message.recipientCount = 1;
  return { message, original, delivery: mail.deliver(message, sender, undefined) };
}

/** The engine made its id and its text, of which DESIGN fixes only the beginning. */
export function learnBounce(
  { message }: Bounce,
  { id, subject, body }: Pick<Message, "id" | "subject" | "body">,
): void {
  Object.assign(message, { id, subject, body });
}

/** UNREAD again at a new place, without expiry and with as many further attempts as a new message has. */
export function redrive(mail: Mail, agent: string, messageIds: readonly string[] | undefined): Redriven {
  const dead = mail.inbox(agent, "DEAD");
  const ids = [...new Set(messageIds ?? dead.map(({ message }) => message.id))];
  const unknown = ids.filter((id) => !dead.some(({ message }) => message.id === id));
  for (const id of ids) {
    const one = dead.find(({ message }) => message.id === id);
    if (one === undefined) continue;
    // Reading: a death that no sweep has written yet is forgotten, and bounced when it comes again.
    one.dead = undefined;
    one.place = mail.nextPlace();
    one.expireAt = undefined;
    one.attemptsAllowed = one.attempts + mail.policy.maxAttempts;
    // The last lease to have held it may still ack it.
    if (one.lease !== undefined) one.lease = { id: one.lease.id, until: 0, ms: 0 };
  }
  return { redrivenCount: ids.length - unknown.length, unknown };
}

/** Counts from reading or dying. A message and its receipts go when its last delivery is due. */
export function retain(mail: Mail): void {
  const isOver = (at: number | undefined) => at !== undefined && at <= mail.now - mail.policy.retentionMs;
  const goes = mail.messages.filter((message) => {
    const deliveries = mail.deliveries.filter((one) => one.message === message);
    if (deliveries.length === 0) return isOver(message.at); // a broadcast that reached nobody
    return deliveries.every(({ readAt, dead }) => isOver(readAt ?? dead?.at));
  });
  mail.messages = mail.messages.filter((message) => !goes.includes(message));
  mail.deliveries = mail.deliveries.filter(({ message }) => !goes.includes(message));
  // A key lives as long as the message, and at least 60 days from the Send.
  for (const [key, { first }] of mail.keys) {
    if (first.at <= mail.now - KEY_MS && !mail.messages.includes(first)) mail.keys.delete(key);
  }
}

/** The store was opened: a lease ends at most its own length from now, and later quota times become now. */
export function mendTimes(mail: Mail): void {
  for (const one of mail.deliveries) {
    if (one.lease !== undefined) {
      one.lease = { ...one.lease, until: Math.min(one.lease.until, mail.now + one.lease.ms) };
    }
  }
  for (const [sender, times] of mail.quota)
    mail.quota.set(
      sender,
      times.map((at) => Math.min(at, mail.now)),
    );
}
