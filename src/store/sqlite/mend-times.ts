/**
 * Repairs what a clock that was set back while the bus was down would spoil: it must hold neither mail nor senders.
 */
import type { Database } from "./open-database.ts";

/** A running lease ends at most its own length from now; a quota's later times become now. */
export function mendTimes(db: Database, now: number): void {
  db.transaction(() => {
    db.prepare(`
      update deliveries indexed by deliveries_waiting set lease_until = :now + lease_ms
      where state = 1 and lease_until > :now + lease_ms`).run({ now });
    db.prepare("update quota set at = :now where at > :now").run({ now });
  }).immediate();
}
