/**
 * Agents as others see them: reading and listing on any connection, registering and removing inside a write transaction.
 */
import { BusError, unknownAgent } from "../../errors.ts";
import type { Agent } from "../../message.ts";
import type { AgentQuery, Page } from "../../store.ts";
import type { AgentNames } from "./agent-names.ts";
import { IS_ALIVE } from "./delivery-state.ts";
import type { Died, Dying } from "./dying.ts";
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

/** Parameters :now and :maxAttempts. Dead counts what is written DEAD and what is due to be. */
const AGENT = `
  select a.name, a.description, a.registered_at, a.last_seen_at,
    (select count(*) from deliveries d indexed by deliveries_waiting
      where d.inbox = a.id and d.state = 1 and ${IS_ALIVE}) as unread,
    (select m.at from deliveries d indexed by deliveries_waiting cross join messages m on m.seq = d.message
      where d.inbox = a.id and d.state = 1 and ${IS_ALIVE} order by d.seq limit 1) as oldest,
    (select count(*) from deliveries d indexed by deliveries_dead where d.inbox = a.id and d.state = 4)
    + (select count(*) from deliveries d indexed by deliveries_waiting
      where d.inbox = a.id and d.state = 1 and not ${IS_ALIVE}) as dead
  from agents a`;

export class AgentReader {
  readonly #one;
  readonly #page;

  constructor(db: Database) {
    // SQLite's own lower() knows only ASCII.
    db.function("lower_case", { deterministic: true }, (text) => String(text).toLowerCase());
    this.#one = db.prepare(`${AGENT} where a.name = :name`);
    this.#page = db.prepare(`${AGENT}
      where a.name > :after
        and (a.registered_at is not null or (:includeUnregistered
          and exists (select 1 from deliveries d indexed by deliveries_waiting where d.inbox = a.id and d.state = 1)))
        and (:text = '' or instr(a.name, :text) > 0 or instr(lower_case(a.description), :text) > 0)
      order by a.name limit :limit`);
  }

  agent(name: string, now: number, maxAttempts: number): Agent | undefined {
    const row = this.#one.get({ name, now, maxAttempts }) as Row | undefined;
    return row && agentOf(row);
  }

  list(query: AgentQuery, now: number, maxAttempts: number): Page<Agent> {
    const rows = this.#page.all({
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
