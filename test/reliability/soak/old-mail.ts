/** Mail from before the last month, for retention to take: written by a bus, then moved back in time. */
import Database from "better-sqlite3";
import { type Flags, spawnBus } from "../../start-bus.ts";
import { moveTimes } from "../upgrade/old-databases.ts";

const DAY_MS = 24 * 3_600_000;
const MESSAGES = 1000;
const UNREAD = ["old, and unread"];
/** Rows of one transaction: the bus waits for it. */
const SLICE = 2000;

export interface Old {
  readonly inbox: string;
  readonly messages: number;
  /** Subjects of what must stay. */
  readonly unread: readonly string[];
}

export async function oldMail(folder: string, flags: Flags): Promise<Old> {
  const bus = await spawnBus(flags, { folder });
  const inbox = "archive";
  const requests = Array.from({ length: MESSAGES - UNREAD.length }, (_, n) => ({
    from: "past",
    to: inbox,
    body: `${n}`,
  }));
  await bus.ok("SendBatch", { requests });
  await bus.ok("PullInbox", { agent: inbox, markRead: true, maxMessages: 1000 });
  for (const subject of UNREAD) await bus.ok("Send", { from: "past", to: inbox, subject });
  await bus.stop();
  const db = new Database(`${folder}/bus.db`);
  moveTimes(db, -40 * DAY_MS);
  db.close();
  return { inbox, messages: MESSAGES, unread: UNREAD };
}

/** Makes all that is read or dead, and all keys, as old as retention likes, beside a bus that serves. */
export function ageMail(database: string): void {
  const db = new Database(database, { timeout: 5000 });
  const now = Date.now();
  const deliveries = db.prepare(`
    update deliveries set read_at = read_at - ${40 * DAY_MS}, dead_at = dead_at - ${40 * DAY_MS} where seq in (
      select seq from deliveries indexed by deliveries_ended
      where state <> 1 and coalesce(read_at, dead_at) > ${now - DAY_MS} limit ${SLICE})`);
  const keys = db.prepare(`
    update request_keys set at = at - ${70 * DAY_MS} where (sender, request_id) in (
      select sender, request_id from request_keys indexed by request_keys_at where at > ${now - DAY_MS} limit ${SLICE})`);
  for (const statement of [deliveries, keys]) while (statement.run().changes === SLICE);
  db.close();
}
