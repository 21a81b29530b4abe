/**
 * Agents by name inside a write transaction: look up, register, keep a place for. It judges nothing.
 */
import type { Database } from "./open-database.ts";

export interface AgentRow {
  readonly id: number;
  readonly name: string;
  readonly registered_at: number | null;
  readonly sent_count: number;
  /** Deliveries UNREAD or LEASED, and those due to be DEAD. */
  readonly waiting: number;
}

export class AgentNames {
  readonly #find;
  readonly #register;
  readonly #keep;
  readonly #seen;
  readonly #registered;

  constructor(db: Database) {
    this.#find = db.prepare("select id, name, registered_at, sent_count, waiting from agents where name = ?");
    this.#register = db
      .prepare(`
        insert into agents (name, registered_at, last_seen_at) values (:name, :now, :now)
        on conflict (name) do update set registered_at = coalesce(registered_at, :now), last_seen_at = :now
        returning id`)
      .pluck();
    this.#keep = db
      .prepare(
        "insert into agents (name) values (?) on conflict (name) do update set name = excluded.name returning id",
      )
      .pluck();
    this.#seen = db.prepare(
      "update agents set last_seen_at = :at where name = :name and coalesce(last_seen_at, 0) < :at",
    );
    this.#registered = db
      .prepare("select name from agents where registered_at is not null order by name limit ?")
      .pluck();
  }

  find(name: string): AgentRow | undefined {
    return this.#find.get(name) as AgentRow | undefined;
  }

  /** Registers, unless registered already. */
  register(name: string, now: number): number {
    return this.#register.get({ name, now }) as number;
  }

  /** A row for mail to wait under, registered or not. */
  keep(name: string): number {
    return this.#keep.get(name) as number;
  }

  seen(name: string, at: number): void {
    this.#seen.run({ name, at });
  }

  registered(max: number): string[] {
    return this.#registered.all(max) as string[];
  }
}
