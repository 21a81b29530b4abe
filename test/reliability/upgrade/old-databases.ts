/** Databases of earlier schema versions, from their fixtures, as if their bus had stopped a moment ago; and their mail. */
import { readdirSync, readFileSync } from "node:fs";
import Database from "better-sqlite3";

const FIXTURES = new URL("../../fixtures/", import.meta.url);
const MIGRATIONS = new URL("../../../dist/store/sqlite/migrations/", import.meta.url);
/** Columns that hold a time, in any table. */
const IS_TIME = /^(at|.*_at|.*_until)$/;
/** Smaller numbers in such a column say "never". */
const EARLIEST = 1e12;

export const migrations = readdirSync(MIGRATIONS)
  .filter((name) => name.endsWith(".sql"))
  .sort();

/** The versions that have a fixture. */
export const fixtures = readdirSync(FIXTURES)
  .map((name) => /^schema-(\d+)\.sql$/.exec(name)?.[1])
  .filter((version) => version !== undefined)
  .map(Number)
  .sort((a, b) => a - b);

export function writeOldDatabase(version: number, file: string): void {
  const sql = readFileSync(new URL(`schema-${version}.sql`, FIXTURES), "utf8");
  const writtenAt = Number(/^-- Written at (\d+)$/m.exec(sql)?.[1]);
  const db = new Database(file);
  db.unsafeMode(); // or the tables behind the search index could not be written
  db.pragma("journal_mode = wal");
  db.exec(sql);
  moveTimes(db, Date.now() - writtenAt);
  db.close();
}

/** Moves all that a database remembers to another time. */
export function moveTimes(db: Database.Database, ms: number): void {
  const tables = db
    .prepare("select name from pragma_table_list where type = 'table' and schema = 'main'")
    .pluck()
    .all();
  for (const table of tables as string[]) {
    const columns = db.prepare("select name from pragma_table_info(?) where type = 'INTEGER'").pluck().all(table);
    for (const column of (columns as string[]).filter((name) => IS_TIME.test(name))) {
      db.prepare(`update ${table} set ${column} = ${column} + ? where ${column} > ${EARLIEST}`).run(ms);
    }
  }
}

/** What a database of this version consists of, by name. */
export function schemaOf(db: Database.Database): Map<string, string | null> {
  const rows = db.prepare("select type || ' ' || name as name, sql from sqlite_schema order by 1").all();
  return new Map((rows as { name: string; sql: string | null }[]).map(({ name, sql }) => [name, sql]));
}

/** The schemas of all versions, by version. */
export function schemas(): Map<string, string | null>[] {
  const db = new Database(":memory:");
  const all = [schemaOf(db)];
  for (const name of migrations) {
    db.exec(readFileSync(new URL(name, MIGRATIONS), "utf8"));
    all.push(schemaOf(db));
  }
  db.close();
  return all;
}

/** A message in an inbox, as any version keeps it. */
export interface OldMail {
  readonly inbox: string;
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly body: string;
  readonly at: number;
  readonly in_reply_to: string | null;
  readonly hops: number;
  readonly traceparent: string | null;
  readonly expire_at: number | null;
  readonly attempts: number;
}

export interface OldKey {
  readonly from: string;
  readonly request_id: string;
  readonly message_id: string;
}

export function mailIn(file: string): { mail: OldMail[]; keys: OldKey[] } {
  const db = new Database(file, { readonly: true });
  const mail = db.prepare(`
    select i.name as inbox, m.id, s.name as "from", coalesce(r.name, 'ALL') as "to", m.subject, m.body, m.at,
      m.in_reply_to, m.hops, m.traceparent, d.expire_at, d.attempts
    from deliveries d join messages m on m.seq = d.message join agents i on i.id = d.inbox
    join agents s on s.id = m.sender left join agents r on r.id = m.recipient order by d.seq`);
  const keys = db.prepare(`
    select s.name as "from", k.request_id, k.message_id from request_keys k join agents s on s.id = k.sender`);
  const found = { mail: mail.all() as OldMail[], keys: keys.all() as OldKey[] };
  db.close();
  return found;
}
