/**
 * The gauges of GET /metrics: how things stand when they are asked for. What costs the store a look is read at most once
 * in some seconds, however often is asked; agents are named up to a limit, however many there are.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { Gauge, type Registry } from "prom-client";
import type { Clock } from "../clock.ts";
import type { Inbox, Space, Store } from "../store.ts";
import type { Logger } from "./log.ts";

/** Figures of the store are as old as this at most. */
const FRESH_MS = 5000;
/** Inboxes read at once: a millisecond or two, for nothing else runs meanwhile. */
const SLICE = 250;
/** Agents named: half of them by how long their mail waits, then by how much it is, then by how long they were silent. */
const MAX_NAMED = 100;

export interface FleetParts {
  readonly store: Pick<Store, "inboxes" | "space">;
  readonly waiting: () => number;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Fleet {
  readonly agents: number;
  readonly unread: number;
  readonly oldestAt: number | undefined;
  readonly named: readonly Inbox[];
}

type Samples = readonly (readonly [agent: string, value: number])[];

/** Registers them. */
export function addFleetGauges(registry: Registry, { store, waiting, clock, log }: FleetParts): void {
  const failed = (err: unknown) => log.error({ err }, "the store can't tell what GET /metrics asks for");
  const fleet = remembered(() => readFleet(store), failed);
  const space = remembered(() => store.space(), failed);
  const ageOf = (at: number) => Math.max(0, clock() - at) / 1000;

  const gauge = (name: string, help: string, read: () => Promise<number | undefined>) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const value = await read();
        // What is unknown is absent: a zero would be a lie.
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  const gaugeOfAgents = (name: string, help: string, read: (inbox: Inbox) => number | undefined) =>
    new Gauge({
      name,
      help,
      labelNames: ["agent"],
      registers: [registry],
      async collect() {
        const samples: Samples = ((await fleet())?.named ?? []).flatMap((inbox) => {
          const value = read(inbox);
          return value === undefined ? [] : [[inbox.agent, value] as const];
        });
        this.reset();
        for (const [agent, value] of samples) this.set({ agent }, value);
      },
    });
  const gaugeOfSpace = (name: string, help: string, read: (space: Space) => number | undefined) =>
    gauge(name, help, async () => {
      const known = await space();
      return known && read(known);
    });

  gauge("agentbus_waiting_pulls", "Pulls that wait for mail right now.", async () => waiting());
  gauge("agentbus_agents", "Registered agents.", async () => (await fleet())?.agents);
  gauge(
    "agentbus_unread_messages",
    "Unread mail, leased or not, in all inboxes together.",
    async () => (await fleet())?.unread,
  );
  gauge(
    "agentbus_oldest_unread_age_seconds",
    "Age of the oldest unread mail in any inbox, from its Send; 0: there is none.",
    async () => {
      const known = await fleet();
      return known && (known.oldestAt === undefined ? 0 : ageOf(known.oldestAt));
    },
  );
  gaugeOfAgents(
    "agentbus_inbox_unread_messages",
    `Unread mail, leased or not, of the ${MAX_NAMED} inboxes where it is oldest or most.`,
    ({ unreadCount }) => unreadCount,
  );
  gaugeOfAgents(
    "agentbus_inbox_oldest_unread_age_seconds",
    "Age of the oldest unread mail of the same inboxes, from its Send; absent: there is none.",
    ({ oldestUnreadAt }) => (oldestUnreadAt === undefined ? undefined : ageOf(oldestUnreadAt)),
  );
  gaugeOfAgents(
    "agentbus_agent_last_seen_timestamp_seconds",
    "When the agents of the same inboxes last called; absent: never.",
    ({ lastSeenAt }) => (lastSeenAt === undefined ? undefined : lastSeenAt / 1000),
  );
  gaugeOfSpace("agentbus_database_bytes", "Size of the database with its WAL.", ({ databaseBytes }) => databaseBytes);
  gaugeOfSpace("agentbus_wal_bytes", "Size of the WAL.", ({ journalBytes }) => journalBytes);
  gaugeOfSpace(
    "agentbus_disk_free_bytes",
    "Room left on the disk of the database; absent: unknown.",
    ({ freeBytes }) => freeBytes,
  );
}

/** What `read` found a moment ago, or finds now; undefined: it failed, of which `failed` is told. */
function remembered<T>(read: () => Promise<T>, failed: (error: unknown) => void): () => Promise<T | undefined> {
  let last: { readonly at: number; readonly found: Promise<T | undefined> } | undefined;
  return () => {
    const now = performance.now();
    if (last === undefined || now - last.at >= FRESH_MS) {
      const found = read().catch((error: unknown) => {
        failed(error);
        return undefined;
      });
      last = { at: now, found };
    }
    return last.found;
  };
}

async function readFleet(store: Pick<Store, "inboxes">): Promise<Fleet> {
  const inboxes: Inbox[] = [];
  let after: string | undefined;
  do {
    const page = await store.inboxes(SLICE, after);
    inboxes.push(...page.items);
    after = page.next;
    await nextTurn();
  } while (after !== undefined);
  const withMail = inboxes.filter(({ unreadCount }) => unreadCount > 0).sort((a, b) => ageKey(a) - ageKey(b));
  return {
    agents: inboxes.filter(({ registered }) => registered).length,
    unread: withMail.reduce((sum, { unreadCount }) => sum + unreadCount, 0),
    oldestAt: withMail[0]?.oldestUnreadAt,
    named: worthNaming(inboxes, withMail),
  };
}

function ageKey({ oldestUnreadAt }: Inbox): number {
  return oldestUnreadAt ?? Number.POSITIVE_INFINITY;
}

/** `withMail`: the oldest mail first. */
function worthNaming(inboxes: readonly Inbox[], withMail: readonly Inbox[]): readonly Inbox[] {
  if (inboxes.length <= MAX_NAMED) return inboxes;
  const named = new Set(withMail.slice(0, MAX_NAMED / 2));
  const fill = (candidates: Inbox[]) => {
    for (const inbox of candidates) if (named.size < MAX_NAMED) named.add(inbox);
  };
  fill([...withMail].sort((a, b) => b.unreadCount - a.unreadCount));
  if (named.size < MAX_NAMED) fill([...inboxes].sort((a, b) => (a.lastSeenAt ?? 0) - (b.lastSeenAt ?? 0)));
  return [...named];
}
