/** Rows of tokens, on any connection. It knows hashes, never a token. */
import type { TokenRecord } from "../../token.ts";
import type { Database } from "./open-database.ts";

interface Row {
  readonly id: string;
  readonly agent: string | null;
  readonly created_at: number;
  readonly revoked_at: number | null;
}

const COLUMNS = "select id, agent, created_at, revoked_at from tokens";

function recordOf(row: Row): TokenRecord {
  return {
    id: row.id,
    agent: row.agent ?? undefined,
    createdAt: row.created_at,
    revokedAt: row.revoked_at ?? undefined,
  };
}

export class TokenReader {
  readonly #inForce;
  readonly #all;

  constructor(db: Database) {
    this.#inForce = db.prepare(`${COLUMNS} where hash = ? and revoked_at is null`);
    this.#all = db.prepare(`${COLUMNS} order by created_at, id`);
  }

  /** undefined: no token in force has this hash. */
  find(hash: Uint8Array): TokenRecord | undefined {
    const row = this.#inForce.get(hash) as Row | undefined;
    return row && recordOf(row);
  }

  all(): TokenRecord[] {
    return (this.#all.all() as Row[]).map(recordOf);
  }
}

export class TokenWriter {
  readonly #insert;
  readonly #revoke;

  constructor(db: Database) {
    this.#insert = db.prepare("insert into tokens (id, hash, agent, created_at) values (?, ?, ?, ?)");
    this.#revoke = db.prepare("update tokens set revoked_at = coalesce(revoked_at, ?) where id = ?");
  }

  insert(id: string, hash: Uint8Array, agent: string | undefined, now: number): void {
    this.#insert.run(id, hash, agent ?? null, now);
  }

  /** False: there is no such token. One that is revoked already stays as it is. */
  revoke(id: string, now: number): boolean {
    return this.#revoke.run(now, id).changes === 1;
  }
}
