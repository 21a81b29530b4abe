/**
 * The Store on one SQLite file: writes go in groups to a thread of their own, reads are short and run here. It knows the
 * verbs, not their SQL.
 */
import { stat, statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { BusError, type Refusal } from "../../errors.ts";
import { type Agent, ALL, type MessageView } from "../../message.ts";
import type {
  AgentQuery,
  HistoryQuery,
  Inbox,
  NewMessage,
  Page,
  Pull,
  Pulled,
  ReceiptPage,
  Redriven,
  Sent,
  Space,
  Store,
  StoreOptions,
} from "../../store.ts";
import type { TokenRecord } from "../../token.ts";
import { GroupCommit } from "../group-commit.ts";
import { AgentNames } from "./agent-names.ts";
import { AgentReader } from "./agents.ts";
import { factsOf } from "./commit-facts.ts";
import { DueReader } from "./dying.ts";
import { HistoryReader } from "./history.ts";
import { InboxReader } from "./inbox.ts";
import { makeFolderOf } from "./make-folder.ts";
import { MessageReader } from "./messages.ts";
import { type Database, openForReading } from "./open-database.ts";
import { isStorage, readRefusal, whyNotOpened } from "./storage-errors.ts";
import { TokenReader } from "./tokens.ts";
import { Writer } from "./writer.ts";
import type { Outcome, Verb, Write, WriteVerbs } from "./writes.ts";

/** last_seen may lag this long behind when nothing else is written. */
const SEEN_FLUSH_MS = 2000;
/** Rows of one slice of housekeeping: a millisecond or a few, so that no Send waits long behind it. */
const SWEEP_SLICE = 200;
const INDEX_SLICE = 200;
const INDEX_SLICE_CHARACTERS = 1_000_000;
const RETAIN_SLICE = 200;

export async function openSqliteStore(path: string, options: StoreOptions): Promise<Store> {
  const file = resolve(path);
  makeFolderOf(file);
  const writer = await Writer.open({ path: file, policy: options.policy, now: options.clock() }).catch(
    (error: unknown) => {
      throw whyNotOpened(file, error);
    },
  );
  try {
    return new SqliteStore(writer, openForReading(file), options);
  } catch (error) {
    await writer.close();
    throw error;
  }
}

class SqliteStore implements Store {
  readonly #writer: Writer;
  readonly #db: Database;
  readonly #options: StoreOptions;
  readonly #group: GroupCommit<Write, Outcome>;
  readonly #names: AgentNames;
  readonly #inboxes: InboxReader;
  readonly #agents: AgentReader;
  readonly #messages: MessageReader;
  readonly #history: HistoryReader;
  readonly #tokens: TokenReader;
  readonly #due: DueReader;
  readonly #leased;
  readonly #unindexed;
  readonly #seen = new Map<string, number>();
  readonly #flush: NodeJS.Timeout;
  #closed: Promise<void> | undefined;

  constructor(writer: Writer, db: Database, options: StoreOptions) {
    const { maxAttempts } = options.policy;
    this.#writer = writer;
    this.#db = db;
    this.#options = options;
    this.#names = new AgentNames(db);
    this.#inboxes = new InboxReader(db);
    this.#agents = new AgentReader(db);
    this.#messages = new MessageReader(db, maxAttempts);
    this.#history = new HistoryReader(db, maxAttempts);
    this.#tokens = new TokenReader(db);
    this.#due = new DueReader(db);
    this.#unindexed = db
      .prepare(
        "select exists (select 1 from messages where seq > (select value from progress where name = 'searchable'))",
      )
      .pluck();
    this.#leased = db.prepare("select 1 from leases where inbox = ? and request_id = ?");
    this.#group = new GroupCommit({ commit: (writes) => this.#commit(writes), weigh });
    this.#flush = setInterval(() => {
      // A failure stays in #seen and comes with the next batch.
      if (this.#seen.size > 0) this.#write("touch", {}).catch(() => undefined);
    }, SEEN_FLUSH_MS).unref();
  }

  async send(messages: readonly NewMessage[]): Promise<(Sent | BusError)[]> {
    const outcomes = await this.#write("send", { messages });
    const answers = outcomes.map((outcome, i) => {
      if ("refusal" in outcome) return new BusError(outcome.refusal);
      if ("failure" in outcome) return undefined;
      const sent = outcome.done;
      const { sender, recipient } = messages[i] as NewMessage;
      // A repeat writes nothing of its own, but its sender was there.
      if (sent.deduplicated) this.#see(sender, this.#options.clock());
      else this.#options.ring(recipient === ALL ? undefined : recipient);
      return sent;
    });
    // A defect: its neighbours are stored and rung for, but there is no answer that could say so.
    for (const outcome of outcomes) if ("failure" in outcome) unwrap(outcome);
    return answers.filter((answer) => answer !== undefined);
  }

  async pull(pull: Pull): Promise<Pulled> {
    const { clock, policy } = this.#options;
    const now = clock();
    const agent = this.#read(() => this.#names.find(pull.agent));
    // What changes nothing is answered by reading: a look, and a pull that finds nothing. The first pull registers.
    if (agent?.registered_at == null) return (await this.#write("pull", { pull })).pulled;
    this.#see(pull.agent, now);
    if (pull.taking.kind === "look") {
      return this.#read(() => {
        const { found, hasMore } = this.#inboxes.unread(agent.id, now, policy.maxAttempts, pull);
        const dueAt = found.length === 0 ? this.#inboxes.dueAt(agent.id, now) : undefined;
        return { messages: found.map(({ message }) => message), hasMore, lease: undefined, dueAt };
      });
    }
    // In this order: mail that is gone by now may have gone to the first of a repeated pull, and is then found leased.
    const nothing = this.#read((): Pulled | undefined => {
      const unread = this.#inboxes.anyUnread(agent.id, now, policy.maxAttempts);
      const repeated = pull.requestId !== undefined && this.#leased.get(agent.id, pull.requestId) !== undefined;
      if (unread || repeated) return undefined;
      return { messages: [], hasMore: false, lease: undefined, dueAt: this.#inboxes.dueAt(agent.id, now) };
    });
    return nothing ?? (await this.#write("pull", { pull })).pulled;
  }

  async ack(agent: string, messageIds: readonly string[], leaseId: string | undefined) {
    this.#see(agent, this.#options.clock());
    return this.#write("ack", { agent, messageIds, leaseId });
  }

  async extendLease(agent: string, leaseId: string, ms: number) {
    this.#see(agent, this.#options.clock());
    const { endsSooner, ...modified } = await this.#write("extendLease", { agent, leaseId, ms });
    // Who waits reckons with the end that the lease had.
    if (endsSooner) this.#options.ring(agent);
    return modified;
  }

  async giveBack(agent: string, leaseId: string, messageIds: readonly string[] | undefined) {
    this.#see(agent, this.#options.clock());
    const modified = await this.#write("giveBack", { agent, leaseId, messageIds });
    this.#options.ring(agent);
    return modified;
  }

  async registerAgent(agent: string, description: string | undefined): Promise<Agent> {
    return this.#write("registerAgent", { agent, description });
  }

  async removeAgent(agent: string, force: boolean): Promise<number> {
    const { count, bounced } = await this.#write("removeAgent", { agent, force });
    for (const name of bounced) this.#options.ring(name);
    return count;
  }

  async redrive(agent: string, messageIds: readonly string[] | undefined): Promise<Redriven> {
    const redriven = await this.#write("redrive", { agent, messageIds });
    this.#options.ring(agent);
    return redriven;
  }

  async listMessages(query: HistoryQuery): Promise<Page<MessageView>> {
    const now = this.#options.clock();
    this.#see(query.agent, now);
    return this.#read(() => this.#history.list(query, now));
  }

  async sweep(): Promise<boolean> {
    const { clock, policy } = this.#options;
    if (!this.#read(() => this.#due.any(clock(), policy.maxAttempts))) return false;
    const { count, bounced } = await this.#write("sweep", { limit: SWEEP_SLICE });
    for (const name of bounced) this.#options.ring(name);
    return count === SWEEP_SLICE;
  }

  async index(): Promise<boolean> {
    if (this.#read(() => this.#unindexed.get()) === 0) return false;
    return this.#write("index", { limit: INDEX_SLICE, maxCharacters: INDEX_SLICE_CHARACTERS });
  }

  async retain(): Promise<boolean> {
    return this.#write("retain", { limit: RETAIN_SLICE });
  }

  async listAgents(query: AgentQuery): Promise<Page<Agent>> {
    const { clock, policy } = this.#options;
    return this.#read(() => this.#agents.list(query, clock(), policy.maxAttempts));
  }

  async inboxes(limit: number, after: string | undefined): Promise<Page<Inbox>> {
    return this.#read(() => this.#agents.inboxes(limit, after));
  }

  async agentNames(max: number): Promise<readonly string[]> {
    return this.#read(() => this.#names.registered(max));
  }

  async getMessage(agent: string, messageId: string): Promise<MessageView | undefined> {
    const now = this.#options.clock();
    this.#see(agent, now);
    return this.#read(() => this.#messages.view(agent, messageId, now));
  }

  async getReceipt(messageId: string, limit: number, after: string | undefined): Promise<ReceiptPage | undefined> {
    return this.#read(() => this.#messages.receipt(messageId, limit, after, this.#options.clock()));
  }

  async findToken(hash: Uint8Array): Promise<TokenRecord | undefined> {
    return this.#read(() => this.#tokens.find(hash));
  }

  async space(): Promise<Space> {
    const path = this.#db.name;
    const { bavail, bsize } = await statfs(dirname(path));
    const [database, journal] = await Promise.all([stat(path), stat(`${path}-wal`)]);
    return { databaseBytes: database.size + journal.size, journalBytes: journal.size, freeBytes: bavail * bsize };
  }

  async check(): Promise<void> {
    this.#read(() => this.#names.registered(1));
    await this.#write("touch", {});
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    clearInterval(this.#flush);
    if (this.#seen.size > 0) await this.#write("touch", {}).catch(() => undefined);
    await this.#group.drained();
    this.#db.close();
    await this.#writer.close();
  }

  #see(agent: string, now: number): void {
    this.#seen.set(agent, now);
  }

  /** Reads are no transaction that could be lost: what fails is the disk, or a defect. */
  #read<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw isStorage(error) ? new BusError(readRefusal(), { cause: error }) : error;
    }
  }

  async #write<V extends Verb>(verb: V, input: WriteVerbs[V]["input"]): Promise<WriteVerbs[V]["output"]> {
    const outcome = await this.#group.submit({ verb, ...input } as Write);
    return unwrap(outcome as Outcome<WriteVerbs[V]["output"]>);
  }

  async #commit(writes: readonly Write[]): Promise<readonly Outcome[]> {
    const { clock, observer } = this.#options;
    const seen = [...this.#seen];
    const began = performance.now();
    const outcomes = await this.#writer.commit({ now: clock(), writes, seen }).catch((error: unknown) => {
      observer?.commitFailed();
      throw error;
    });
    observer?.committed({ milliseconds: performance.now() - began, ...factsOf(writes, outcomes) });
    for (const [name, at] of seen) if (this.#seen.get(name) === at) this.#seen.delete(name);
    return outcomes;
  }
}

function unwrap<T>(outcome: Outcome<T>): T {
  if ("done" in outcome) return outcome.done;
  if ("refusal" in outcome) throw new BusError(outcome.refusal satisfies Refusal);
  throw new Error(`a write failed: ${outcome.failure}`);
}

/** Bytes, about; three for each UTF-16 unit is the most that UTF-8 takes. */
function weigh(write: Write): number {
  if (write.verb !== "send") return 0;
  return write.messages.reduce((sum, { subject, body }) => sum + (subject.length + body.length) * 3, 0);
}
