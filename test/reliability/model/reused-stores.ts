/**
 * Real stores for many short lives. To open one costs a thread and a tenth of a second, a thousand would take minutes:
 * each is emptied and lived in again. It knows the engine's tables as far as emptying them needs.
 */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { openStore } from "#dist/store/open-store.js";
import type { Store, StorePolicy } from "#dist/store.js";

/** A store with a clock that the test owns. */
export class ReusedStore {
  now = 0;
  /** Inboxes that were rung since clearRings(); undefined: all. */
  readonly rings = new Set<string | undefined>();
  readonly #folder: string;
  readonly policy: StorePolicy;
  #path = "";
  #store: Store | undefined;
  #empty: (() => void) | undefined;
  #side: Database.Database | undefined;

  constructor(folder: string, policy: StorePolicy) {
    this.#folder = folder;
    this.policy = policy;
  }

  get store(): Store {
    if (this.#store === undefined) throw new Error("the store is not open");
    return this.#store;
  }

  /** Open and empty, at this time. */
  async begin(now: number): Promise<void> {
    this.now = now;
    // What the store remembers of the last life, such as who was seen, is written down, then deleted.
    await this.#store?.check().catch(() => this.close());
    if (this.#store === undefined) {
      this.#path = join(mkdtempSync(join(this.#folder, "store-")), "bus.db");
      await this.#open();
    }
    this.#empty ??= this.#rememberEmpty();
    this.#empty();
    this.rings.clear();
  }

  /** As a process that ends and is started again. */
  async restart(now: number): Promise<void> {
    await this.store.close();
    this.now = now;
    await this.#open();
  }

  /** The next life begins in a file of its own. */
  async close(): Promise<void> {
    this.#side?.close();
    this.#side = undefined;
    this.#empty = undefined;
    await this.#store?.close();
    this.#store = undefined;
  }

  async #open(): Promise<void> {
    const ring = (inbox: string | undefined) => void this.rings.add(inbox);
    this.#store = await openStore(`sqlite:${this.#path}`, { clock: () => this.now, policy: this.policy, ring });
  }

  /** From a connection of its own, as `token` commands write: all rows go, but those of a store that is new. */
  #rememberEmpty(): () => void {
    const db = new Database(this.#path, { timeout: 5000 });
    this.#side = db;
    db.pragma("foreign_keys = off");
    const list = db.prepare("select name, type from pragma_table_list where schema = 'main'").all();
    const names = (type: string) => (list as { name: string; type: string }[]).filter((one) => one.type === type);
    const tables = names("table").filter(({ name }) => name !== "sqlite_schema");
    const steps = tables.flatMap(({ name }) => {
      const rows = db.prepare(`select * from ${name}`).all() as Record<string, unknown>[];
      const insert = (row: Record<string, unknown>) =>
        db.prepare(`insert into ${name} values (${Object.keys(row).map(() => "?")})`).bind(...Object.values(row));
      return [db.prepare(`delete from ${name}`), ...rows.map(insert)];
    });
    const searchIndexes = names("virtual").map(({ name }) =>
      db.prepare(`insert into ${name} (${name}) values ('delete-all')`),
    );
    return db.transaction(() => {
      for (const step of [...steps, ...searchIndexes]) step.run();
    }).immediate;
  }
}
