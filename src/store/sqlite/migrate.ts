/**
 * Brings a database to the newest schema: numbered .sql files, each in a transaction of its own together with its number.
 * It knows nothing of what they hold.
 */
import { readdirSync, readFileSync } from "node:fs";
import type { Database } from "./open-database.ts";

const FOLDER = new URL("./migrations/", import.meta.url);
/** "ABus": tells our file from somebody else's SQLite file. */
const APPLICATION_ID = 0x41427573;

interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

function migrations(): Migration[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith(".sql"))
    .sort()
    .map((name, i) => {
      const version = Number.parseInt(name, 10);
      if (version !== i + 1) throw new Error(`migration ${name} is out of its order`);
      return { version, name, sql: readFileSync(new URL(name, FOLDER), "utf8") };
    });
}

/** Throws for a file of another program; changes nothing. */
export function assertOurs(db: Database): void {
  // One snapshot: another process may be making the tables just now.
  const look = db.transaction(() => ({
    application: db.pragma("application_id", { simple: true }),
    empty: db.prepare("select count(*) from sqlite_schema").pluck().get() === 0,
  }));
  const { application, empty } = look.deferred();
  if (application !== APPLICATION_ID && !(empty && application === 0)) {
    throw new Error(`${db.name} is not a database of agentbus; name another file`);
  }
}

/** Throws for a database from a newer agentbus, and then changes nothing. */
export function migrate(db: Database): void {
  const all = migrations();
  const found = versionOf(db);
  if (found > all.length) {
    throw new Error(
      `${db.name} has schema version ${found}, this agentbus knows only ${all.length}: it was written by a newer one; start that, or restore a backup from before the upgrade`,
    );
  }
  for (const { version, sql } of all.slice(found)) {
    db.transaction(() => {
      // Another process may have been faster.
      if (versionOf(db) >= version) return;
      db.exec(sql);
      db.pragma(`application_id = ${APPLICATION_ID}`);
      db.pragma(`user_version = ${version}`);
    }).immediate();
  }
}

function versionOf(db: Database): number {
  return db.pragma("user_version", { simple: true }) as number;
}
