/**
 * The limit of any bus on this database: the rows that a Send leaves, inserted in this process, with the bus's own schema
 * and settings, by nothing but prepared statements. It asks nothing, checks nothing and answers nobody.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { v7 as uuidv7 } from "uuid";
import { migrate } from "#dist/store/sqlite/migrate.js";
import { openForWriting } from "#dist/store/sqlite/open-database.js";
import { BATCH_SIZE, body, RECIPIENTS, recipientName, SUBJECT } from "./mail.ts";
import type { Sample } from "./measure-calls.ts";
import type { Phase } from "./phases.ts";
import { quantile } from "./statistics.ts";

const SENDERS = 64;

export interface RawInserts {
  readonly oneByOne: Phase;
  readonly inHundreds: Phase;
  readonly sqliteVersion: string;
  close(): void;
}

export function rawInserts(folder: string): RawInserts {
  const db = openForWriting(join(folder, "raw.db"));
  migrate(db);
  const insertAgent = db.prepare("insert into agents (name, registered_at, last_seen_at) values (?, ?, ?)");
  const agents = Array.from({ length: SENDERS + RECIPIENTS }, (_, i) => {
    const name = i < SENDERS ? `sender-${i}` : recipientName(i - SENDERS);
    return insertAgent.run(name, Date.now(), Date.now()).lastInsertRowid;
  });
  const insertMessage = db.prepare(`
    insert into messages (id, sender, recipient, subject, body, at, hops) values (?, ?, ?, ?, ?, ?, 0)`);
  const insertDelivery = db.prepare("insert into deliveries (message, inbox) values (?, ?)");
  const insertKey = db.prepare(`
    insert into request_keys (sender, request_id, content_hash, message_id, at, recipient_count) values (?, ?, ?, ?, ?, 1)`);
  const hash = randomBytes(32);
  let count = 0;
  const insert = () => {
    count++;
    const sender = agents[count % SENDERS];
    const recipient = agents[SENDERS + (count % RECIPIENTS)];
    const id = uuidv7();
    const now = Date.now();
    const { lastInsertRowid } = insertMessage.run(id, sender, recipient, SUBJECT, body(count), now);
    insertDelivery.run(lastInsertRowid, recipient);
    insertKey.run(sender, `${id}-${count}`, hash, id, now);
  };
  const phase = (name: string, size: number): Phase => {
    const transaction = db.transaction(() => {
      for (let i = 0; i < size; i++) insert();
    });
    return { name, run: async (ms) => repeat(transaction.immediate, size, ms) };
  };
  return {
    oneByOne: phase("raw inserts, one by one", 1),
    inHundreds: phase(`raw inserts, ${BATCH_SIZE} at once`, BATCH_SIZE),
    sqliteVersion: db.prepare("select sqlite_version()").pluck().get() as string,
    close: () => db.close(),
  };
}

function repeat(transaction: () => void, size: number, ms: number): Sample {
  const latencies: number[] = [];
  const start = performance.now();
  let now = start;
  while (now < start + ms) {
    const began = now;
    transaction();
    now = performance.now();
    latencies.push(now - began);
  }
  const callsPerSecond = (latencies.length / (now - start)) * 1000;
  return {
    perSecond: callsPerSecond * size,
    callsPerSecond,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    cpu: undefined,
  };
}
