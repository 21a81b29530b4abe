/**
 * Remembers on this host which mail an agent was told of, so that none is told twice, whatever sessions run at once. It
 * must not know mail beyond its ids, nor any bus.
 */
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import { stateFile } from "../client/state-file.ts";

/** Another session holds the file for milliseconds at most. */
const BUSY_TIMEOUT_MS = 1000;
/** Ids that are kept of one agent at one bus; more than one look can show, so that what still waits is never forgotten. */
const MAX_IDS = 2000;
/** An agent that was told nothing for so long is forgotten. */
const MAX_AGE_MS = 365 * 86_400_000;

/** Whose inbox it is. */
export interface Inbox {
  /** As the settings name it. */
  readonly bus: string;
  readonly agent: string;
}

export interface Claim {
  /** Whoever gets them here is the one who tells them. In the order that was given. */
  readonly claimed: readonly string[];
  /** How many more were not told yet. */
  readonly left: number;
}

/** Of these ids, claims the first `max` that were not told before. Throws an Error that names the file if it can't be used. */
export function claimUntold(
  inbox: Inbox,
  ids: readonly string[],
  max: number,
  file = stateFile("agentbus/told-mail.db"),
): Claim {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    closeSync(openSync(file, "a", 0o600));
    const db = new Database(file, { timeout: BUSY_TIMEOUT_MS });
    try {
      return claimIn(db, inbox, ids, max);
    } finally {
      db.close();
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`what was told before can't be looked up in ${file}: ${why}`, { cause });
  }
}

function claimIn(db: Database.Database, { bus, agent }: Inbox, ids: readonly string[], max: number): Claim {
  db.exec("create table if not exists told (bus text, agent text, id text, at integer, primary key (bus, agent, id))");
  const known = db.prepare("select 1 from told where bus = ? and agent = ? and id = ?");
  const isUntold = (id: string) => known.get(bus, agent, id) === undefined;
  // Most looks find nothing new, and then nothing is written.
  if (!ids.some(isUntold)) return { claimed: [], left: 0 };
  const claim = db.transaction(() => {
    const untold = ids.filter(isUntold);
    const claimed = untold.slice(0, max);
    const now = Date.now();
    const tell = db.prepare("insert or replace into told (bus, agent, id, at) values (?, ?, ?, ?)");
    // What still waits is as good as told now: the oldest go first below.
    const waiting = new Set(untold);
    for (const id of [...ids.filter((id) => !waiting.has(id)), ...claimed]) tell.run(bus, agent, id, now);
    db.prepare(
      `delete from told where rowid in
        (select rowid from told where bus = ? and agent = ? order by at desc, rowid desc limit -1 offset ?)`,
    ).run(bus, agent, MAX_IDS);
    db.prepare("delete from told where at < ?").run(now - MAX_AGE_MS);
    return { claimed, left: untold.length - claimed.length };
  });
  // At once for writing: of two sessions that come together the second sees what the first one claimed.
  return claim.immediate();
}
