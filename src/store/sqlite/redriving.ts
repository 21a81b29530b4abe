/**
 * Makes dead letters UNREAD again, inside a write transaction. It judges nothing but whether a delivery is DEAD.
 */
import type { Redriven } from "../../store.ts";
import type { AgentNames } from "./agent-names.ts";
import { IS_DUE } from "./dying.ts";
import type { Database } from "./open-database.ts";

export class Redriving {
  readonly #agents: AgentNames;
  readonly #maxAttempts: number;
  readonly #dead;
  readonly #all;
  readonly #move;
  readonly #remove;

  constructor(db: Database, agents: AgentNames, maxAttempts: number) {
    this.#agents = agents;
    this.#maxAttempts = maxAttempts;
    this.#dead = db
      .prepare(`
        select d.seq from messages m cross join deliveries d on d.message = m.seq and d.inbox = :inbox
        where m.id = :id and (d.state = 4 or ${IS_DUE})`)
      .pluck();
    this.#all = db
      .prepare(`
        select d.seq from deliveries d indexed by deliveries_dead where d.inbox = :inbox and d.state = 4
        union all
        select d.seq from deliveries d indexed by deliveries_waiting where d.inbox = :inbox and ${IS_DUE}
        order by 1`)
      .pluck();
    // A new place at the end is a new row: the sequence gives each number out once.
    this.#remove = db.prepare("delete from deliveries where seq = ? returning *");
    this.#move = db.prepare(`
      insert into deliveries (message, inbox, lease, attempts, attempts_before, first_pulled_at)
      values (:message, :inbox, :lease, :attempts, :attempts, :first_pulled_at)`);
  }

  /** `messageIds` undefined: all of this inbox. */
  redrive(agent: string, messageIds: readonly string[] | undefined, now: number): Redriven {
    const inbox = this.#agents.find(agent)?.id;
    if (inbox === undefined) return { redrivenCount: 0, unknown: [...new Set(messageIds)] };
    const at = { inbox, now, maxAttempts: this.#maxAttempts };
    if (messageIds === undefined) {
      const all = this.#all.all(at) as number[];
      for (const seq of all) this.#redriveOne(seq);
      return { redrivenCount: all.length, unknown: [] };
    }
    const unknown: string[] = [];
    let redrivenCount = 0;
    for (const id of new Set(messageIds)) {
      const seq = this.#dead.get({ ...at, id }) as number | undefined;
      if (seq === undefined) unknown.push(id);
      else {
        this.#redriveOne(seq);
        redrivenCount++;
      }
    }
    return { redrivenCount, unknown };
  }

  #redriveOne(seq: number): void {
    const { message, inbox, lease, attempts, first_pulled_at } = this.#remove.get(seq) as Record<string, unknown>;
    this.#move.run({ message, inbox, lease, attempts, first_pulled_at });
  }
}
