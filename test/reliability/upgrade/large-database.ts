/** A database of the first schema version with so much mail that its migration takes a while, and what must be left of it. */
import Database from "better-sqlite3";
import { schemaOf, schemas, writeOldDatabase } from "./old-databases.ts";

/** A sender whose quota and keys are used up by the small fixture is left alone. */
const SENDER = "from-unread";

export interface Contents {
  readonly messages: number;
  readonly characters: number;
  readonly keys: number;
  readonly leases: number;
  readonly waiting: number;
  readonly read: number;
}

const CONTENTS = `
  select (select count(*) from messages) as messages, (select sum(length(body)) from messages) as characters,
    (select count(*) from request_keys) as keys, (select count(*) from leases) as leases,
    (select count(*) from deliveries where state = 1) as waiting, (select count(*) from deliveries where state = 3) as read`;

/** Two of three are unread; each has a request_id. */
export function writeLargeDatabase(file: string, messages: number): Contents {
  writeOldDatabase(1, file);
  const db = new Database(file);
  db.transaction(() => {
    db.exec(`
      create temp table more as with recursive n (i) as (select 1 union all select i + 1 from n where i < ${messages})
        select i + 1000 as seq, (select id from agents where name = '${SENDER}') as sender, 1 + i % 10 as inbox from n;
      insert into messages (seq, id, sender, recipient, subject, body, at, hops)
        select seq, 'large-' || seq, sender, inbox, 'is large', 'mail ' || seq || ' of many', ${Date.now()}, 0 from more;
      insert into deliveries (seq, message, inbox, state, read_at)
        select seq, seq, inbox, iif(seq % 3, 1, 3), iif(seq % 3, null, ${Date.now()}) from more;
      insert into request_keys (sender, request_id, content_hash, message_id, at, recipient_count)
        select sender, 'large-' || seq, x'00', 'large-' || seq, ${Date.now()}, 1 from more;`);
  })();
  const contents = db.prepare(CONTENTS).get() as Contents;
  db.pragma("wal_checkpoint(truncate)");
  db.close();
  return contents;
}

const known = schemas();

/** What is wrong with a database that was left in the middle of its migration, in words; and how far it came. */
export function faultsOfHalf(file: string, before: Contents): { version: number; faults: string[] } {
  const db = new Database(file);
  try {
    const version = db.pragma("user_version", { simple: true }) as number;
    const faults = (db.pragma("integrity_check", { simple: true }) as string)
      .split("\n")
      .filter((line) => line !== "ok");
    const [schema, expected] = [schemaOf(db), known[version]];
    for (const name of new Set([...schema.keys(), ...(expected?.keys() ?? [])])) {
      if (schema.get(name) !== expected?.get(name)) faults.push(`${name} is not as in version ${version}`);
    }
    const contents = JSON.stringify(db.prepare(CONTENTS).get());
    if (contents !== JSON.stringify(before)) faults.push(`it holds ${contents}, before ${JSON.stringify(before)}`);
    return { version, faults };
  } finally {
    db.close();
  }
}
