/**
 * Makes, lists and revokes tokens in a store, from the bus's own host and while it serves. It writes beside the bus, in
 * short transactions of its own; the bus sees them with its next call.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { hashToken, newToken, type TokenRecord } from "../token.ts";
import { noDatabaseAt, parseStoreUrl } from "./open-store.ts";
import { makeFolderOf } from "./sqlite/make-folder.ts";
import { migrate } from "./sqlite/migrate.ts";
import { openForWriting } from "./sqlite/open-database.ts";
import { TokenReader, TokenWriter } from "./sqlite/tokens.ts";

export interface TokenBook {
  /** Where the database is, if this made it: there was none. */
  readonly made: string | undefined;
  /** The token itself is told here and never again. `agent` undefined: an admin token. */
  create(agent: string | undefined): { token: string; record: TokenRecord };
  list(): TokenRecord[];
  /** False: there is no token with this id. */
  revoke(id: string): boolean;
  close(): void;
}

/** `mayMake`: a database that is not there is made, for tokens of a bus that is yet to start; else it is an error. */
export function openTokenBook(storeUrl: string, mayMake = true): TokenBook {
  const path = resolve(parseStoreUrl(storeUrl).path);
  const isThere = existsSync(path);
  if (!isThere && !mayMake) throw new Error(noDatabaseAt(path));
  makeFolderOf(path);
  const db = openForWriting(path);
  migrate(db);
  const reader = new TokenReader(db);
  const writer = new TokenWriter(db);
  return {
    made: isThere ? undefined : path,
    create: (agent) => {
      const token = newToken();
      const id = randomBytes(4).toString("hex");
      const createdAt = Date.now();
      writer.insert(id, hashToken(token), agent, createdAt);
      return { token, record: { id, agent, createdAt, revokedAt: undefined } };
    },
    list: () => reader.all(),
    revoke: (id) => writer.revoke(id, Date.now()),
    close: () => db.close(),
  };
}
