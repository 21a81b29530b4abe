/** The model of PullInbox, Ack and ModifyLease. */
import type { Acked, LeaseModified, Pull, Pulled, Taking } from "#dist/store.js";
import { bytesOf, type Delivery, type Handed, HOUR, type Mail, messageOf, Refused } from "./mail.ts";

export function pull(mail: Mail, pull: Pull): Pulled {
  // Before the agent is registered: a refused pull registers nobody.
  const repeated = repeat(mail, pull);
  mail.register(pull.agent);
  return repeated ?? newPull(mail, pull);
}

/** What the pull with this request_id handed out, as far as that is still so; undefined: this is a new pull. */
function repeat(mail: Mail, { agent, requestId, taking }: Pull): Pulled | undefined {
  if (requestId === undefined || taking.kind === "look") return undefined;
  const first = mail.records.find((one) => one.agent === agent && one.requestId === requestId);
  if (first === undefined) return undefined;
  // With a lease: what it still holds. With mark_read: the same messages for one hour.
  const within = first.kind === "read" && mail.now < first.at + HOUR;
  const still = deliveriesOf(first).filter(
    (one) => one.lease?.id === first.leaseId && (mail.is(one, "LEASED") || (within && mail.is(one, "READ"))),
  );
  if (still.length === 0) return undefined;
  if (first.kind !== kindOf(taking)) throw new Refused("REQUEST_ID_REUSED");
  const leased = still.filter((one) => mail.is(one, "LEASED"));
  const expireAt = leased[0]?.lease?.until;
  if (taking.kind === "read") for (const one of leased) one.readAt = mail.now;
  return {
    messages: still.map((one) => messageOf(one.message, one, first.maxBodyBytes)),
    hasMore: mail.inbox(agent, "UNREAD").length > 0,
    lease: expireAt === undefined || taking.kind === "read" ? undefined : { id: first.leaseId, expireAt },
    dueAt: undefined,
  };
}

function newPull(mail: Mail, pull: Pull): Pulled {
  const { agent, taking, leaseId, requestId, maxBodyBytes } = pull;
  const unread = mail.inbox(agent, "UNREAD");
  const found = unread.slice(0, fitting(unread, pull));
  const hasMore = found.length < unread.length;
  const seen = () => found.map((one) => messageOf(one.message, one, maxBodyBytes));
  if (found.length === 0) {
    // Empty answers leave no record.
    const ends = mail.inbox(agent, "LEASED").map(({ lease }) => lease?.until ?? 0);
    return { messages: [], hasMore, lease: undefined, dueAt: ends.length > 0 ? Math.min(...ends) : undefined };
  }
  // A look changes nothing.
  if (taking.kind === "look") return { messages: seen(), hasMore, lease: undefined, dueAt: undefined };

  const until = taking.kind === "read" ? 0 : mail.now + taking.ms;
  for (const one of found) {
    one.firstPulledAt ??= mail.now;
    one.lease = { id: leaseId, until, ms: taking.kind === "read" ? 0 : taking.ms };
    if (taking.kind === "read") one.readAt = mail.now;
    else one.attempts += 1;
  }
  const deliveries = found.map((delivery) => ({ delivery, place: delivery.place }));
  const kind = kindOf(taking);
  const forgetAt = Math.max(until, mail.now) + HOUR;
  const handed: Handed = { agent, kind, leaseId, deliveries, maxBodyBytes, at: mail.now, requestId, forgetAt };
  if (requestId !== undefined) {
    for (const one of mail.records) if (one.agent === agent && one.requestId === requestId) one.requestId = undefined;
  }
  // A read without a request_id can be neither repeated nor given back.
  if (taking.kind !== "read" || requestId !== undefined) mail.record(handed);
  if (taking.kind === "read") return { messages: seen(), hasMore, lease: undefined, dueAt: undefined };
  return { messages: seen(), hasMore, lease: { id: leaseId, expireAt: until }, dueAt: undefined };
}

/** How many of these come: the first always, then as long as both limits allow. Bodies count as they are handed out. */
function fitting(unread: readonly Delivery[], { maxMessages, maxBytes, maxBodyBytes }: Pull): number {
  let bytes = 0;
  const over = unread.findIndex(({ message }, i) => {
    bytes += bytesOf(message.subject) + bytesOf(messageOf(message, unread[i] as Delivery, maxBodyBytes).body);
    return i === maxMessages || (i > 0 && bytes > maxBytes);
  });
  return over === -1 ? unread.length : over;
}

/** A hold is a read that is not done yet: a repeat of one is a repeat of the other. */
function kindOf(taking: Taking): "lease" | "read" {
  return taking.kind === "lease" ? "lease" : "read";
}

/** Reading: a redriven message is at a new place, and no longer what an earlier pull handed out. */
function deliveriesOf({ deliveries }: Handed): Delivery[] {
  return deliveries.filter(({ delivery, place }) => delivery.place === place).map(({ delivery }) => delivery);
}

/** Every id falls into exactly one of acked, unknown, stale. */
export function ack(mail: Mail, agent: string, messageIds: readonly string[], leaseId: string | undefined): Acked {
  const unknown: string[] = [];
  const stale: string[] = [];
  let ackedCount = 0;
  for (const id of new Set(messageIds)) {
    const delivery = mail.delivery(agent, id);
    if (delivery === undefined) unknown.push(id);
    // With lease_id only if that lease was the last to hold it, even after it ran out; without, unless DEAD.
    else if (mail.is(delivery, "DEAD") || (leaseId !== undefined && delivery.lease?.id !== leaseId)) stale.push(id);
    else {
      delivery.readAt ??= mail.now;
      ackedCount += 1;
    }
  }
  return { ackedCount, unknown, stale };
}

/** For all that the lease still holds. Reading: a lease that ran out holds nothing, whether or not it was taken over. */
export function extendLease(mail: Mail, agent: string, leaseId: string, ms: number): LeaseModified {
  const { held, lost } = holdings(mail, agent, leaseId);
  if (held.length === 0) throw new Refused("STALE_LEASE");
  const until = mail.now + ms;
  for (const one of held) one.lease = { id: leaseId, until, ms };
  const record = mail.records.find((one) => one.leaseId === leaseId);
  if (record !== undefined) record.forgetAt = Math.max(record.forgetAt, until + HOUR);
  return { expireAt: until, stale: lost.map(({ message }) => message.id) };
}

/** Costs no attempt and never fails. What is named, or else was handed out, and is not held is stale. */
export function giveBack(
  mail: Mail,
  agent: string,
  leaseId: string,
  ids: readonly string[] | undefined,
): LeaseModified {
  const { held, lost } = holdings(mail, agent, leaseId);
  const named = ids ?? [...held, ...lost].map(({ message }) => message.id);
  const back = held.filter(({ message }) => named.includes(message.id));
  for (const one of back) {
    one.attempts -= 1;
    // It ends now, and a clock that is set back later does not make it run again.
    one.lease = { id: leaseId, until: mail.now, ms: 0 };
  }
  const backIds = new Set(back.map(({ message }) => message.id));
  return { expireAt: undefined, stale: [...new Set(named)].filter((id) => !backIds.has(id)) };
}

function holdings(mail: Mail, agent: string, leaseId: string): { held: Delivery[]; lost: Delivery[] } {
  const record = mail.records.find((one) => one.agent === agent && one.leaseId === leaseId);
  const all = record === undefined ? [] : deliveriesOf(record);
  const present = all.filter((one) => mail.deliveries.includes(one));
  const holds = (one: Delivery) => one.lease?.id === leaseId && mail.is(one, "LEASED");
  return { held: present.filter(holds), lost: present.filter((one) => !holds(one)) };
}
