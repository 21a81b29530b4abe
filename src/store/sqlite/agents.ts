/**
 * Agents as others see them: reading and listing on any connection, registering and removing inside a write transaction.
 */
import { BusError, unknownAgent } from "../../errors.ts";
import type { Agent } from "../../message.ts";
import type { AgentQuery, Inbox, Page } from "../../store.ts";
import type { AgentNames } from "./agent-names.ts";
import { IS_ALIVE } from "./delivery-state.ts";
import { type Died, DueReader, type Dying } from "./dying.ts";
import type { Database } from "./open-database.ts";

interface Row {
  readonly name: string;
  readonly description: string;
  readonly registered_at: number | null;
  readonly last_seen_at: number | null;
  readonly unread: number;
  readonly oldest: number | null;
  readonly dead: number;
}

/** When something is due to be DEAD: every waiting delivery is looked at. Parameters :now and :maxAttempts. */
const COUNTED = `
  (select count(*) from deliveries d indexed by deliveries_waiting
    where d.inbox = a.id and d.state = 1 and ${IS_ALIVE}) as unread,
  (select count(*) from deliveries d indexed by deliveries_waiting
    where d.inbox = a.id and d.state = 1 and not ${IS_ALIVE}) as due`;

/** When nothing is, which is nearly always: what waits is unread, however much it is. */
const KNOWN = "a.waiting as unread, 0 as due";

const agentQuery = (counts: string, condition: string) => `
  select name, description, registered_at, last_seen_at, unread, dead + due as dead, oldest from (
    select a.*, ${counts},
      (select m.at from deliveries d indexed by deliveries_waiting cross join messages m on m.seq = d.message
        where d.inbox = a.id and d.state = 1 and ${IS_ALIVE} order by d.seq limit 1) as oldest,
      (select count(*) from deliveries d indexed by deliveries_dead where d.inbox = a.id and d.state = 4) as dead
    from agents a where ${condition})`;

const ON_PAGE = `a.name > :after
  and (a.registered_at is not null or (:includeUnregistered
    and exists (select 1 from deliveries d indexed by deliveries_waiting
      where d.inbox = a.id and d.state = 1 and ${IS_ALIVE})))
  and (:text = '' or instr(a.name, :text) > 0 or instr(lower_case(a.description), :text) > 0)
  order by a.name limit :limit`;

/** No delivery is judged or counted: an inbox costs one look into an index. */
const INBOXES = `
  select a.name, a.registered_at, a.last_seen_at, a.waiting as unread,
    (select m.at from deliveries d indexed by deliveries_waiting cross join messages m on m.seq = d.message
      where d.inbox = a.id and d.state = 1 order by d.seq limit 1) as oldest
  from agents a where a.name > :after and (a.registered_at is not null or a.waiting > 0) order by a.name limit :limit`;

export class AgentReader {
  readonly #due: DueReader;
  readonly #one;
  readonly #page;
  readonly #inboxes;

  constructor(db: Database) {
    this.#due = new DueReader(db);
    // SQLite's own lower() knows only ASCII.
    db.function("lower_case", { deterministic: true }, (text) => String(text).toLowerCase());
    const prepare = (condition: string) => ({
      counted: db.prepare(agentQuery(COUNTED, condition)),
      known: db.prepare(agentQuery(KNOWN, condition)),
    });
    this.#one = prepare("a.name = :name");
    this.#page = prepare(ON_PAGE);
    this.#inboxes = db.prepare(INBOXES);
  }

  agent(name: string, now: number, maxAttempts: number): Agent | undefined {
    const row = this.#one[this.#counts(now, maxAttempts)].get({ name, now, maxAttempts }) as Row | undefined;
    return row && agentOf(row);
  }

  list(query: AgentQuery, now: number, maxAttempts: number): Page<Agent> {
    const rows = this.#page[this.#counts(now, maxAttempts)].all({
      now,
      maxAttempts,
      after: query.after ?? "",
      includeUnregistered: query.includeUnregistered ? 1 : 0,
      text: query.text.toLowerCase(),
      limit: query.limit + 1,
    }) as Row[];
    const items = rows.slice(0, query.limit).map(agentOf);
    return { items, next: rows.length > query.limit ? items.at(-1)?.name : undefined };
  }

  inboxes(limit: number, after: string | undefined): Page<Inbox> {
    const rows = this.#inboxes.all({ after: after ?? "", limit: limit + 1 }) as Omit<Row, "description" | "dead">[];
    const items = rows.slice(0, limit).map((row) => ({
      agent: row.name,
      registered: row.registered_at !== null,
      unreadCount: row.unread,
      oldestUnreadAt: row.oldest ?? undefined,
      lastSeenAt: row.last_seen_at ?? undefined,
    }));
    return { items, next: rows.length > limit ? items.at(-1)?.agent : undefined };
  }

  #counts(now: number, maxAttempts: number): "counted" | "known" {
    return this.#due.any(now, maxAttempts) ? "counted" : "known";
  }
}

function agentOf(row: Row): Agent {
  return {
    name: row.name,
    description: row.description,
    registeredAt: row.registered_at ?? undefined,
    lastSeenAt: row.last_seen_at ?? undefined,
    unreadCount: row.unread,
    oldestUnreadAt: row.oldest ?? undefined,
    deadCount: row.dead,
  };
}

export class AgentWriter {
  readonly #reader: AgentReader;
  readonly #names: AgentNames;
  readonly #dying: Dying;
  readonly #maxAttempts: number;
  readonly #register;
  readonly #remove;

  constructor(db: Database, names: AgentNames, dying: Dying, maxAttempts: number) {
    this.#reader = new AgentReader(db);
    this.#names = names;
    this.#dying = dying;
    this.#maxAttempts = maxAttempts;
    this.#register = db.prepare(`
      insert into agents (name, description, registered_at, last_seen_at) values (:name, coalesce(:description, ''), :now, :now)
      on conflict (name) do update set registered_at = coalesce(registered_at, :now), last_seen_at = :now,
        description = coalesce(:description, description)`);
    this.#remove = db.prepare("update agents set registered_at = null, description = '' where name = ?");
  }

  register(name: string, description: string | undefined, now: number): Agent {
    this.#register.run({ name, description: description ?? null, now });
    return this.#get(name, now) as Agent;
  }

  /** Throws UNKNOWN_AGENT; without force INBOX_NOT_EMPTY. History, keys and quota stay: the row does. */
  remove(name: string, force: boolean, now: number): Died {
    const agent = this.#get(name, now);
    if (agent?.registeredAt === undefined) throw unknownAgent(name);
    if (agent.unreadCount > 0 && !force) {
      throw new BusError({
        reason: "INBOX_NOT_EMPTY",
        advice: `${name} has ${agent.unreadCount} unread messages, which nobody would read; have them read first, or remove it with force: they become dead letters and bounce`,
        metadata: { unreadCount: String(agent.unreadCount) },
      });
    }
    const died = this.#dying.empty(this.#names.keep(name), now);
    this.#remove.run(name);
    return died;
  }

  #get(name: string, now: number): Agent | undefined {
    return this.#reader.agent(name, now, this.#maxAttempts);
  }
}
