/**
 * A process of its own, run under strace: the writer thread's parts of dist on one database, step by step, so that it makes
 * the same system calls each time. A reader holds a checkpoint up; the next one, whose sync may be made to fail, ends it;
 * then the WAL is overwritten. `node held-up-checkpoint.ts FILE` prints the number of rows that were committed.
 */
import { Checkpoints } from "#dist/store/sqlite/checkpoints.js";
import { migrate } from "#dist/store/sqlite/migrate.js";
import { openForReading, openForWriting } from "#dist/store/sqlite/open-database.js";
import { settle } from "#dist/store/sqlite/settle.js";

const [, , file = ""] = process.argv;
/** Longer than any back-off after a failure. */
const STEP_MS = 60_000;

const db = openForWriting(file);
settle(db, file);
migrate(db);
db.exec("create table letters (n integer primary key, body text not null) strict");
const checkpoints = new Checkpoints(db, file);
const insert = db.prepare("insert into letters (body) values (?)");
let now = STEP_MS;

function commit(rows: number): void {
  db.transaction(() => {
    for (let n = 0; n < rows; n++) insert.run("x".repeat(3000));
  }).immediate();
  now += STEP_MS;
  checkpoints.afterCommit(now);
}

for (let n = 0; n < 20; n++) commit(1);
const reader = openForReading(file);
reader.exec("begin");
reader.prepare("select count(*) from letters").get();
commit(1100); // is moved as far as the reader allows, and not synced
reader.exec("commit");
commit(1); // the rest is moved, and all of it synced
commit(1); // begins the WAL anew, or, if that sync failed, tries again
for (let n = 0; n < 20; n++) commit(1);
process.stdout.write(String(db.prepare("select count(*) from letters").pluck().get()));
// No orderly end, which would copy and sync everything once more.
process.kill(process.pid, "SIGKILL");
