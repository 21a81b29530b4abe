/**
 * The thread that owns the one writing connection: an fsync never stops the event loop. Each batch is one transaction,
 * each write in it is judged as if alone. It asks no clock: `now` comes with the batch.
 */
import { realpathSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { BusError } from "../../errors.ts";
import { AgentNames } from "./agent-names.ts";
import { AgentWriter } from "./agents.ts";
import { Ballast } from "./ballast.ts";
import { Checkpoints } from "./checkpoints.ts";
import { Dying } from "./dying.ts";
import { holdAlone } from "./hold-alone.ts";
import { Leasing } from "./leasing.ts";
import { mendTimes } from "./mend-times.ts";
import { migrate } from "./migrate.ts";
import { type Database, openForWriting } from "./open-database.ts";
import { Redriving } from "./redriving.ts";
import { Retention } from "./retention.ts";
import { SearchIndex } from "./search-index.ts";
import { Sending } from "./send.ts";
import { settle } from "./settle.ts";
import { DISK_FULL, describe, isFull, isStorage, unreachable, writeRefusal } from "./storage-errors.ts";
import type { Batch, Outcome, Reply, Verb, Write, WriterData, WriteVerbs } from "./writes.ts";

const NOT_MOVED = "the bus writes, but its WAL grows: it can't be moved into the database file; look at the disk";

type Verbs = { [V in Verb]: (input: WriteVerbs[V]["input"], now: number) => WriteVerbs[V]["output"] };

const { path, policy, now: openedAt } = workerData as WriterData;
const port = parentPort;
if (port === null) throw new Error("writer-thread is a worker's code");

const reply = (message: Reply) => port.postMessage(message);

const lock = holdAlone(path);
const db = openForWriting(path);
// As SQLite names the files beside it.
const file = realpathSync(path);
settle(db, file);
migrate(db);
mendTimes(db, openedAt);
const ballast = new Ballast(path, openedAt);
const checkpoints = new Checkpoints(db, file);
const agents = new AgentNames(db);
const verbs = verbsOn(db);
const begin = db.prepare("begin immediate");
const commit = db.prepare("commit");
const savepoint = db.prepare("savepoint one");
const release = db.prepare("release one");
const undo = db.prepare("rollback to one");

port.on("message", (batch: Batch | "close") => {
  if (batch !== "close") {
    reply(run(batch));
    if (ballast.held || roomToMove()) checkpoints.afterCommit(batch.now);
    if (ballast.held && isFull(checkpoints.failure)) makeRoom(batch.now);
    return;
  }
  checkpoints.close();
  lock.close();
  port.close();
});
reply({ opened: true });

function verbsOn(db: Database): Verbs {
  const sending = new Sending(db, agents, policy);
  const leasing = new Leasing(db, agents, policy.maxAttempts);
  const dying = new Dying(db, agents, policy.maxAttempts);
  const registry = new AgentWriter(db, agents, dying, policy.maxAttempts);
  const redriving = new Redriving(db, agents, policy.maxAttempts);
  const searchIndex = new SearchIndex(db);
  const retention = new Retention(db);
  const checked = db.prepare("insert or replace into progress (name, value) values ('checked', ?)");
  return {
    send: ({ messages }, now) => messages.map((message) => alone(() => sending.send(message, now))),
    pull: ({ pull }, now) => leasing.pull(pull, now),
    ack: ({ agent, messageIds, leaseId }, now) => leasing.ack(agent, messageIds, leaseId, now),
    extendLease: ({ agent, leaseId, ms }, now) => leasing.extend(agent, leaseId, ms, now),
    giveBack: ({ agent, leaseId, messageIds }, now) => leasing.giveBack(agent, leaseId, messageIds, now),
    registerAgent: ({ agent, description }, now) => registry.register(agent, description, now),
    removeAgent: ({ agent, force }, now) => registry.remove(agent, force, now),
    redrive: ({ agent, messageIds }, now) => redriving.redrive(agent, messageIds, now),
    sweep: ({ limit }, now) => dying.sweep(limit, now),
    index: ({ limit, maxCharacters }) => searchIndex.slice(limit, maxCharacters),
    retain: ({ limit }, now) => retention.slice(policy.retentionMs, limit, now),
    touch: (_, now) => {
      checked.run(now);
    },
  };
}

function run(batch: Batch): Reply {
  ballast.recover(batch.now);
  const reply = transact(batch);
  // Only what is not a Send goes on with the room that this makes.
  if (!("lost" in reply) || reply.lost.reason !== "STORAGE_FULL" || !ballast.held) return reply;
  makeRoom(batch.now);
  return transact(batch);
}

/** What the WAL holds moves into it, if it fits, so that the WAL's own room can be used again. */
function makeRoom(now: number): void {
  ballast.giveUp(now);
  if (roomToMove()) checkpoints.run(now);
}

/** Or the database file would take all that was kept for acks, and still not hold what the WAL does. */
function roomToMove(): boolean {
  try {
    return checkpoints.growth < ballast.room / 2;
  } catch {
    return false; // a disk that can't even be asked
  }
}

function transact({ writes, seen, now }: Batch): Reply {
  try {
    undoAll();
    begin.run();
    const outcomes = writes.map((write) => perform(write, now));
    for (const [name, at] of seen) agents.seen(name, at);
    commit.run();
    return { outcomes };
  } catch (error) {
    try {
      undoAll();
    } catch {
      // The next batch tries again before it begins.
    }
    return { lost: writeRefusal(error), cause: describe(error) };
  }
}

/** A full disk has rolled everything back by itself, other errors have not. */
function undoAll(): void {
  if (db.inTransaction) db.exec("rollback");
}

function perform(write: Write, now: number): Outcome {
  // Items of a send are told apart one by one: all the rest of a write is one item.
  if (write.verb === "send") {
    return { done: ballast.held ? verbs.send(write, now) : write.messages.map(() => ({ refusal: DISK_FULL })) };
  }
  if (write.verb === "index" && !ballast.held) return { done: false };
  if (write.verb === "touch") {
    if (!ballast.held) return { refusal: DISK_FULL };
    if (checkpoints.failure !== undefined) return { refusal: unreachable(NOT_MOVED) };
  }
  const verb = verbs[write.verb] as (input: Write, now: number) => unknown;
  return alone(() => verb(write, now));
}

/** Does one thing as if nothing else were in the transaction: when it fails, it leaves no trace. */
function alone<T>(work: () => T): Outcome<T> {
  savepoint.run();
  try {
    const done = work();
    release.run();
    return { done };
  } catch (error) {
    if (!(error instanceof BusError) && isStorage(error)) throw error;
    undo.run();
    release.run();
    return error instanceof BusError ? { refusal: error.refusal } : { failure: describe(error) };
  }
}
