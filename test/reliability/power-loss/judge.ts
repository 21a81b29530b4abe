/**
 * Opens what a power loss left and looks for every promise in it, on a plain connection: SQLite's own recovery, nothing
 * of the bus in between.
 */
import { existsSync } from "node:fs";
import Database from "better-sqlite3";
import { faultsOf } from "../../fixtures/database-checks.ts";
import type { Promised } from "./clients.ts";

const READ = 3;

/** What is wrong, in words; nothing is right. */
export function judge(file: string, promised: Iterable<Promised>, asked: ReadonlySet<string>): string[] {
  if (!existsSync(file)) return ["the database is gone"];
  const db = new Database(file);
  try {
    db.pragma("synchronous = off");
    return [...faultsOf(file), ...brokenPromises(db, promised, asked)];
  } catch (error) {
    return [`the database can't be read: ${String(error)}`];
  } finally {
    db.close();
  }
}

function brokenPromises(db: Database.Database, promised: Iterable<Promised>, asked: ReadonlySet<string>): string[] {
  const rows = (sql: string): unknown[] => db.prepare(sql).all();
  const messages = rows(`
    select m.id, m.body, s.name as sender,
      (select count(*) from deliveries d where d.message = m.seq) as copies,
      (select k.message_id from request_keys k where k.sender = m.sender
        and k.request_id = substr(m.body, 1, instr(m.body, ' ') - 1)) as key
    from messages m join agents s on s.id = m.sender`) as Message[];
  const read = new Set(
    (
      rows(`
        select m.id || ' ' || a.name as name from deliveries d join messages m on m.seq = d.message
        join agents a on a.id = d.inbox where d.state = ${READ}`) as { name: string }[]
    ).map(({ name }) => name),
  );
  const leases = new Set((rows("select id from leases") as { id: string }[]).map(({ id }) => id));
  const byId = new Map(messages.map((message) => [message.id, message]));
  const faults: string[] = [];
  const texts = new Set<string>();
  for (const { id, body, key } of messages) {
    if (!asked.has(body)) faults.push(`${id} was never sent: ${shown(body)}`);
    if (texts.has(body)) faults.push(`${shown(body)} is there twice`);
    if (key !== id) faults.push(`${shown(body)} is there without its request key`);
    texts.add(body);
  }
  for (const one of promised) {
    switch (one.kind) {
      case "stored": {
        const message = byId.get(one.id);
        if (message === undefined) faults.push(`the answered Send of ${shown(one.text)} is lost`);
        else if (message.body !== one.text) faults.push(`${one.id} holds another text than ${shown(one.text)}`);
        else if (message.copies !== one.copies)
          faults.push(`${one.id} has ${message.copies} copies, not ${one.copies}`);
        break;
      }
      case "read":
        if (!read.has(`${one.id} ${one.agent}`)) faults.push(`${one.id} was read by ${one.agent}, and is not READ`);
        break;
      case "leased":
        if (!leases.has(one.leaseId)) faults.push(`lease ${one.leaseId} is lost`);
        break;
    }
  }
  return faults;
}

interface Message {
  readonly id: string;
  readonly body: string;
  readonly sender: string;
  readonly copies: number;
  readonly key: string | null;
}

function shown(text: string): string {
  return text.slice(0, text.indexOf(" "));
}
