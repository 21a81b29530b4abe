/**
 * The thread that owns the one writing connection: an fsync never stops the event loop. Each batch is one transaction,
 * each write in it is judged as if alone. It asks no clock: `now` comes with the batch.
 */
import { parentPort, workerData } from "node:worker_threads";
import { BusError, type Refusal } from "../../errors.ts";
import { AgentNames } from "./agent-names.ts";
import { AgentWriter } from "./agents.ts";
import { Ballast } from "./ballast.ts";
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
import type { Batch, Outcome, Reply, Verb, Write, WriterData, WriteVerbs } from "./writes.ts";

type Verbs = { [V in Verb]: (input: WriteVerbs[V]["input"], now: number) => WriteVerbs[V]["output"] };

const DISK_FULL: Refusal = {
  reason: "STORAGE_FULL",
  advice: "the bus's disk is full, nothing was stored; tell whoever runs it, and repeat later",
};

const { path, policy, now: openedAt } = workerData as WriterData;
const port = parentPort;
if (port === null) throw new Error("writer-thread is a worker's code");

const reply = (message: Reply) => port.postMessage(message);

const lock = holdAlone(path);
const db = openForWriting(path);
migrate(db);
mendTimes(db, openedAt);
const ballast = new Ballast(path, openedAt);
const agents = new AgentNames(db);
const verbs = verbsOn(db);
const begin = db.prepare("begin immediate");
const commit = db.prepare("commit");
const savepoint = db.prepare("savepoint one");
const release = db.prepare("release one");
const undo = db.prepare("rollback to one");

port.on("message", (batch: Batch | "close") => {
  if (batch !== "close") return reply(run(batch));
  db.close();
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
    touch: () => undefined,
  };
}

function run(batch: Batch): Reply {
  ballast.recover(batch.now);
  const reply = transact(batch);
  // Only what is not a Send goes on with the room that this makes.
  if (!("lost" in reply) || reply.lost.reason !== "STORAGE_FULL" || !ballast.held) return reply;
  ballast.giveUp();
  return transact(batch);
}

function transact({ writes, seen, now }: Batch): Reply {
  try {
    begin.run();
    const outcomes = writes.map((write) => perform(write, now));
    for (const [name, at] of seen) agents.seen(name, at);
    commit.run();
    return { outcomes };
  } catch (error) {
    // A full disk has rolled everything back by itself, other errors have not.
    if (db.inTransaction) db.exec("rollback");
    return { lost: storageRefusal(error), cause: describe(error) };
  }
}

function perform(write: Write, now: number): Outcome {
  // Items of a send are told apart one by one: all the rest of a write is one item.
  if (write.verb === "send") {
    return { done: ballast.held ? verbs.send(write, now) : write.messages.map(() => ({ refusal: DISK_FULL })) };
  }
  if (write.verb === "index" && !ballast.held) return { done: false };
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

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** The disk's fault, not the item's: the whole transaction is in doubt. */
function isStorage(error: unknown): boolean {
  return /^SQLITE_(FULL|IOERR|CORRUPT|NOTADB|READONLY|CANTOPEN|NOMEM|BUSY|LOCKED|PROTOCOL)/.test(codeOf(error));
}

function storageRefusal(error: unknown): Refusal {
  return codeOf(error) === "SQLITE_FULL"
    ? DISK_FULL
    : {
        reason: "STORE_UNREACHABLE",
        advice:
          "the bus could not write to its storage; whether this was stored is unknown: repeat it with the same request_id",
        retryAfterMs: 1000,
      };
}

function describe(error: unknown): string {
  const code = codeOf(error);
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return code === "" ? text : `${code}: ${text}`;
}
