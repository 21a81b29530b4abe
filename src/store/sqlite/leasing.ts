/**
 * What pulls, acks and leases change inside a write transaction. The state rule is delivery-state.ts's; this file moves
 * rows along the arrows of "The life of a delivery" (docs/protocol.md).
 */
import { BusError, requestIdReused } from "../../errors.ts";
import { REPEAT_READ_MS } from "../../message.ts";
import type { Acked, LeaseModified, Pull, Pulled } from "../../store.ts";
import type { AgentNames } from "./agent-names.ts";
import { STATE_COLUMNS, type StateRow, stateOf } from "./delivery-state.ts";
import { type Found, InboxReader } from "./inbox.ts";
import type { Database } from "./open-database.ts";

/** A lease's record outlives it by this long, so that a late ModifyLease can still name what was lost. */
const FORGET_AFTER_MS = REPEAT_READ_MS;
/** Old records dropped with each new one: more than one, so that they cannot pile up. */
const FORGET_AT_ONCE = 10;

interface LeaseRow {
  readonly id: string;
  readonly kind: "lease" | "read";
  readonly deliveries: string;
  readonly max_body_bytes: number | null;
  readonly repeat_until: number;
}

interface DeliveryRow extends StateRow {
  readonly seq: number;
  readonly id: string;
  readonly lease: string | null;
}

/** A pull's answer, and how many of its deliveries had been leased before. */
export interface HandedOut {
  readonly pulled: Pulled;
  readonly redelivered: number;
}

export class Leasing {
  readonly #agents: AgentNames;
  readonly #maxAttempts: number;
  readonly #inbox: InboxReader;
  readonly #take;
  readonly #takeRead;
  readonly #leaseEnd;
  readonly #insertLease;
  readonly #releaseRequest;
  readonly #forget;
  readonly #leaseByRequest;
  readonly #leaseById;
  readonly #delivery;
  readonly #deliveries;
  readonly #markRead;
  readonly #extend;
  readonly #keepRecord;
  readonly #giveBack;

  constructor(db: Database, agents: AgentNames, maxAttempts: number) {
    this.#agents = agents;
    this.#maxAttempts = maxAttempts;
    this.#inbox = new InboxReader(db);
    this.#take = db.prepare(`
      update deliveries set lease = :lease, lease_until = :until, lease_ms = :ms, attempts = attempts + 1,
        first_pulled_at = coalesce(first_pulled_at, :now) where seq = :seq`);
    this.#takeRead = db.prepare(`
      update deliveries set lease = :lease, lease_until = 0, lease_ms = 0, state = 3, read_at = :now,
        first_pulled_at = coalesce(first_pulled_at, :now) where seq = :seq`);
    this.#leaseEnd = db
      .prepare(`
        select coalesce(max(d.lease_until), 0) from json_each(?) j cross join deliveries d on d.seq = j.value
        where d.lease = ? and d.state = 1`)
      .pluck();
    this.#insertLease = db.prepare(`
      insert into leases (id, inbox, request_id, kind, deliveries, max_body_bytes, repeat_until, forget_at)
      values (:id, :inbox, :requestId, :kind, :deliveries, :maxBodyBytes, :repeatUntil, :forgetAt)`);
    this.#releaseRequest = db.prepare("update leases set request_id = null where inbox = ? and request_id = ?");
    this.#forget = db.prepare(
      "delete from leases where id in (select id from leases where forget_at < ? order by forget_at limit ?)",
    );
    const leaseColumns = "select id, kind, deliveries, max_body_bytes, repeat_until from leases";
    this.#leaseByRequest = db.prepare(`${leaseColumns} where inbox = ? and request_id = ?`);
    this.#leaseById = db.prepare(`${leaseColumns} where inbox = ? and id = ?`);
    const deliveryColumns = `select d.seq, m.id, d.lease, ${STATE_COLUMNS}`;
    this.#delivery = db.prepare(`
      ${deliveryColumns} from messages m cross join deliveries d on d.message = m.seq and d.inbox = ? where m.id = ?`);
    this.#deliveries = db.prepare(`
      ${deliveryColumns} from json_each(?) j cross join deliveries d on d.seq = j.value
      cross join messages m on m.seq = d.message order by d.seq`);
    // What is READ already keeps its time.
    this.#markRead = db.prepare(
      "update deliveries set state = 3, read_at = ?, lease_until = 0 where seq = ? and state = 1",
    );
    this.#extend = db.prepare("update deliveries set lease_until = ?, lease_ms = ? where seq = ?");
    this.#keepRecord = db.prepare("update leases set forget_at = max(forget_at, ?) where id = ?");
    // It ends now, which may be after its ttl; lease_ms 0, so that mendTimes() holds it for nobody.
    this.#giveBack = db.prepare(
      "update deliveries set lease_until = ?, lease_ms = 0, attempts = attempts - 1 where seq = ?",
    );
  }

  /** Throws REQUEST_ID_REUSED. */
  pull(pull: Pull, now: number): HandedOut {
    const inbox = this.#agents.register(pull.agent, now);
    if (pull.taking.kind !== "look") {
      const repeated = this.#repeat(pull, inbox, now);
      if (repeated !== undefined) return { pulled: repeated, redelivered: 0 };
    }
    const { found, hasMore } = this.#inbox.unread(inbox, now, this.#maxAttempts, pull);
    const dueAt = found.length === 0 ? this.#inbox.dueAt(inbox, now) : undefined;
    if (found.length === 0 || pull.taking.kind === "look") {
      const messages = found.map(({ message }) => message);
      return { pulled: { messages, hasMore, lease: undefined, dueAt }, redelivered: 0 };
    }
    const taken = this.#takeAll(found, pull, now);
    this.#record(found, pull, inbox, now);
    const redelivered = found.filter(({ message }) => message.deliveryAttempt > 0).length;
    return { pulled: { ...taken, hasMore, dueAt }, redelivered };
  }

  ack(agent: string, messageIds: readonly string[], leaseId: string | undefined, now: number): Acked {
    const inbox = this.#agents.find(agent)?.id;
    const unknown: string[] = [];
    const stale: string[] = [];
    let ackedCount = 0;
    for (const id of new Set(messageIds)) {
      const row = inbox === undefined ? undefined : (this.#delivery.get(inbox, id) as DeliveryRow | undefined);
      if (row === undefined) {
        unknown.push(id);
        continue;
      }
      const { state } = stateOf(row, now, this.#maxAttempts);
      if (state === "DEAD" || (leaseId !== undefined && row.lease !== leaseId)) {
        stale.push(id);
        continue;
      }
      if (state !== "READ") this.#markRead.run(now, row.seq);
      ackedCount++;
    }
    return { ackedCount, unknown, stale };
  }

  /** Throws STALE_LEASE. `endsSooner`: than it would have. */
  extend(agent: string, leaseId: string, ms: number, now: number): LeaseModified & { readonly endsSooner: boolean } {
    const { held, lost } = this.#holdings(agent, leaseId, now);
    if (held.length === 0) {
      throw new BusError({
        reason: "STALE_LEASE",
        advice: `lease "${leaseId}" holds nothing any more: its mail was acked, given back or handed out again; stop working on it and pull anew`,
      });
    }
    const expireAt = now + ms;
    for (const { seq } of held) this.#extend.run(expireAt, ms, seq);
    this.#keepRecord.run(expireAt + FORGET_AFTER_MS, leaseId);
    return { expireAt, stale: lost, endsSooner: held.some((row) => row.lease_until > expireAt) };
  }

  giveBack(agent: string, leaseId: string, messageIds: readonly string[] | undefined, now: number): LeaseModified {
    const { held, lost } = this.#holdings(agent, leaseId, now);
    const named = messageIds === undefined ? undefined : new Set(messageIds);
    for (const { seq, id } of held) {
      if (named === undefined || named.has(id)) this.#giveBack.run(now, seq);
    }
    const heldIds = new Set(held.map(({ id }) => id));
    return { expireAt: undefined, stale: named === undefined ? lost : [...named].filter((id) => !heldIds.has(id)) };
  }

  /** What this lease holds now, and the ids of what it held once. */
  #holdings(agent: string, leaseId: string, now: number): { held: DeliveryRow[]; lost: string[] } {
    const inbox = this.#agents.find(agent)?.id;
    const lease = inbox === undefined ? undefined : (this.#leaseById.get(inbox, leaseId) as LeaseRow | undefined);
    const rows = lease === undefined ? [] : (this.#deliveries.all(lease.deliveries) as DeliveryRow[]);
    const holds = (row: DeliveryRow) =>
      row.lease === leaseId && stateOf(row, now, this.#maxAttempts).state === "LEASED";
    return { held: rows.filter(holds), lost: rows.filter((row) => !holds(row)).map(({ id }) => id) };
  }

  /** The answer to a pull that was made before; undefined: this one is new. */
  #repeat(pull: Pull, inbox: number, now: number): Pulled | undefined {
    if (pull.requestId === undefined) return undefined;
    const lease = this.#leaseByRequest.get(inbox, pull.requestId) as LeaseRow | undefined;
    if (lease === undefined) return undefined;
    const readToo = lease.kind === "read" && lease.repeat_until > now;
    const held = this.#inbox.heldBy(lease.id, lease.deliveries, now, {
      readToo,
      maxBodyBytes: lease.max_body_bytes ?? undefined,
    });
    if (held.length === 0) return undefined;
    if (lease.kind !== recordKind(pull)) throw requestIdReused(pull.requestId, "a pull of another mode");
    const expireAt = this.#leaseEnd.get(lease.deliveries, lease.id) as number;
    const leased = expireAt > now;
    if (leased && pull.taking.kind === "read") for (const { delivery } of held) this.#markRead.run(now, delivery);
    return {
      messages: held.map(({ message }) => message),
      hasMore: this.#inbox.anyUnread(inbox, now, this.#maxAttempts),
      lease: leased && pull.taking.kind !== "read" ? { id: lease.id, expireAt } : undefined,
      dueAt: undefined,
    };
  }

  #takeAll(found: readonly Found[], { taking, leaseId }: Pull, now: number): Pick<Pulled, "messages" | "lease"> {
    if (taking.kind === "read" || taking.kind === "look") {
      for (const { delivery } of found) this.#takeRead.run({ seq: delivery, lease: leaseId, now });
      return { messages: found.map(({ message }) => message), lease: undefined };
    }
    const until = now + taking.ms;
    for (const { delivery } of found) this.#take.run({ seq: delivery, lease: leaseId, until, ms: taking.ms, now });
    return {
      messages: found.map(({ message }) => ({ ...message, deliveryAttempt: message.deliveryAttempt + 1 })),
      lease: { id: leaseId, expireAt: until },
    };
  }

  /** Remembers what was handed out. A read without a request_id can be neither repeated nor given back: no record. */
  #record(found: readonly Found[], pull: Pull, inbox: number, now: number): void {
    const { taking, requestId } = pull;
    if (taking.kind === "look" || (taking.kind === "read" && requestId === undefined)) return;
    if (requestId !== undefined) this.#releaseRequest.run(inbox, requestId);
    this.#forget.run(now, FORGET_AT_ONCE);
    this.#insertLease.run({
      id: pull.leaseId,
      inbox,
      requestId: requestId ?? null,
      kind: recordKind(pull),
      deliveries: JSON.stringify(found.map(({ delivery }) => delivery)),
      maxBodyBytes: pull.maxBodyBytes ?? null,
      repeatUntil: now + REPEAT_READ_MS,
      forgetAt: now + ("ms" in taking ? taking.ms : 0) + FORGET_AFTER_MS,
    });
  }
}

/** A hold is a read that is not done yet: a repeat of one is a repeat of the other. */
function recordKind({ taking }: Pull): "lease" | "read" {
  return taking.kind === "lease" ? "lease" : "read";
}
