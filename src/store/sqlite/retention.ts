/**
 * Deletes what has been kept long enough, in slices so small that no Send waits for one, inside a write transaction.
 * A pass goes once through all that is due and remembers its place; what must stay is passed over until the next pass.
 */
import type { Database } from "./open-database.ts";

/** A request key lives at least this long from its Send, also when its message is gone. */
const KEY_MS = 60 * 24 * 3_600_000;

/** Where a pass has come to. `at` is the end of a delivery, the Send of a broadcast or of a key. */
interface Place {
  readonly at: number;
  readonly key: number;
}

const START: Place = { at: 0, key: 0 };

export class Retention {
  readonly #ended;
  readonly #mayGo;
  readonly #unreached;
  readonly #deleteDeliveries;
  readonly #deleteMessage;
  readonly #deleteWords;
  readonly #deleteKeys;
  #place = START;

  constructor(db: Database) {
    this.#ended = db.prepare(`
      select coalesce(d.read_at, d.dead_at) as at, d.seq as key, d.message from deliveries d indexed by deliveries_ended
      where d.state <> 1 and coalesce(d.read_at, d.dead_at) <= :cutoff
        and (coalesce(d.read_at, d.dead_at), d.seq) > (:at, :key)
      order by coalesce(d.read_at, d.dead_at), d.seq limit :limit`);
    this.#mayGo = db
      .prepare(`
        select not exists (select 1 from deliveries d indexed by deliveries_of_message
          where d.message = :message and (d.state = 1 or coalesce(d.read_at, d.dead_at) > :cutoff))`)
      .pluck();
    this.#unreached = db
      .prepare("select seq from messages indexed by messages_unreached where reached = 0 and at <= ? limit ?")
      .pluck();
    this.#deleteDeliveries = db.prepare("delete from deliveries where message = ?");
    this.#deleteMessage = db.prepare("delete from messages where seq = ?");
    this.#deleteWords = db.prepare("delete from message_words where rowid = ?");
    this.#deleteKeys = db.prepare(`
      delete from request_keys where (sender, request_id) in (
        select k.sender, k.request_id from request_keys k indexed by request_keys_at
        where k.at <= :cutoff and not exists (select 1 from messages m where m.id = k.message_id) limit :limit)`);
  }

  /** Looks at `limit` rows of each kind. Resolves to whether this pass has more to look at. */
  slice(retentionMs: number, limit: number, now: number): boolean {
    const cutoff = now - retentionMs;
    const rows = this.#ended.all({ ...this.#place, cutoff, limit }) as (Place & { message: number })[];
    for (const message of new Set(rows.map((row) => row.message))) {
      if (this.#mayGo.get({ message, cutoff }) === 1) this.#delete(message);
    }
    const unreached = this.#unreached.all(cutoff, limit) as number[];
    for (const message of unreached) this.#delete(message);
    const { changes: keys } = this.#deleteKeys.run({ cutoff: now - KEY_MS, limit });
    const more = rows.length === limit;
    const last = rows.at(-1);
    this.#place = more && last !== undefined ? { at: last.at, key: last.key } : START;
    return more || unreached.length === limit || keys === limit;
  }

  #delete(message: number): void {
    this.#deleteDeliveries.run(message);
    this.#deleteWords.run(message);
    this.#deleteMessage.run(message);
  }
}
