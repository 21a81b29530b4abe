/**
 * One broken line for each promise of docs/guarantees.md, and the test that must fail with it. The lines are those of the
 * built package, so that whoever changes one is told to look here.
 */

export interface Sabotage {
  /** What is broken, in a few words. */
  readonly name: string;
  /** Under dist/. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** A file under test/, without its ending. */
  readonly test: string;
}

const OPEN = "store/sqlite/open-database.js";
const WRITER = "store/sqlite/writer-thread.js";
const REPLAY = "client/outbox/replay.js";
const LEASING = "store/sqlite/leasing.js";

const NORMAL = { file: OPEN, from: "!== FULL)", to: '!== FULL && !db.pragma("synchronous = normal"))' };
/** The same, past the assertion that would not let the bus start. */
const NOT_SYNCED = { ...NORMAL, from: 'db.pragma("foreign_keys = on");', to: 'db.pragma("synchronous = normal");' };

export const SABOTAGES: readonly Sabotage[] = [
  { name: "synchronous = normal", ...NOT_SYNCED, test: "durability/sync-before-answer" },
  { name: "synchronous = normal", ...NOT_SYNCED, test: "reliability/power-loss" },
  { name: "synchronous = normal", ...NOT_SYNCED, test: "reliability/io-errors" },
  {
    name: "an answer before its commit",
    file: WRITER,
    from: "        commit.run();",
    to: "        setTimeout(() => db.inTransaction && commit.run(), 3);",
    test: "reliability/kill",
  },
  {
    name: "a request_id that is not looked up",
    file: "store/sqlite/send.js",
    from: "        const sender = this.#agents.find(message.sender);",
    to: "        message = { ...message, key: undefined }; const sender = this.#agents.find(message.sender);",
    test: "reliability/lost-responses",
  },
  {
    name: "a lost answer's lease given back under its repeat",
    file: "server/leased-answers.js",
    from: "if (group.pulls > 0)",
    to: "if (false)",
    test: "reliability/lost-responses",
  },
  {
    name: "a checkpoint that counts what a failed sync left",
    file: "store/sqlite/checkpoints.js",
    from: "writeSync(this.#sharedMemory, Buffer.alloc(4), 0, 4, COPIED_AT);",
    to: "",
    test: "reliability/power-loss-failed-sync",
  },
  {
    name: "a WAL of a failed sync believed at the next start",
    file: "store/sqlite/settle.js",
    from: "        rewrite(",
    to: "        void (",
    test: "reliability/power-loss-failed-sync",
  },
  {
    name: "a failed checkpoint passed over",
    file: "store/sqlite/checkpoints.js",
    from: "this.#failure = error;",
    to: "",
    test: "reliability/io-errors",
  },
  {
    name: "the ballast kept on a full disk",
    file: WRITER,
    from: "    ballast.giveUp(now);",
    to: "",
    test: "reliability/io-errors-full-disk",
  },
  {
    name: "no lease check in Ack",
    file: LEASING,
    from: "(leaseId !== undefined && row.lease !== leaseId)",
    to: "false",
    test: "reliability/zombies",
  },
  {
    name: "a give-back of what another holds",
    file: LEASING,
    from: "const holds = (row) => row.lease === leaseId && ",
    to: "const holds = (row) => ",
    test: "reliability/zombies",
  },
  {
    name: "a ttl that ends a running lease",
    file: "store/sqlite/delivery-state.js",
    from: "Math.max(row.expire_at, row.lease_until)",
    to: "row.expire_at",
    test: "reliability/model",
  },
  {
    name: "a give-back that costs an attempt",
    file: LEASING,
    from: "lease_ms = 0, attempts = attempts - 1 where",
    to: "lease_ms = 0 where",
    test: "reliability/model",
  },
  {
    name: "retention that forgets deliveries still waiting",
    file: "store/sqlite/retention.js",
    from: "(d.state = 1 or coalesce(d.read_at, d.dead_at) > :cutoff)",
    to: "(d.state <> 1 and coalesce(d.read_at, d.dead_at) > :cutoff)",
    test: "reliability/model",
  },
  {
    name: "a lease as long as the clock was set back",
    file: WRITER,
    from: "mendTimes(db, openedAt);",
    to: "",
    test: "reliability/clock",
  },
  {
    name: "a wall clock that runs backwards",
    file: "clock.js",
    from: "Math.max(wall(), last + (at - then))",
    to: "wall()",
    test: "reliability/clock",
  },
  {
    name: "a backup without the WAL",
    file: "store/backup-store.js",
    from: 'db.prepare("vacuum into ?").run(partial);',
    to: 'process.getBuiltinModule("node:fs").copyFileSync(source, partial);',
    test: "reliability/restore",
  },
  {
    name: "a migration that drops mail that was read",
    file: "store/sqlite/migrate.js",
    from: "            db.exec(sql);",
    to: '            db.exec(sql); if (version === 3) db.exec("delete from deliveries where state = 3");',
    test: "reliability/upgrade",
  },
  {
    name: "a migration in many transactions",
    file: "store/sqlite/migrate.js",
    from: "            db.exec(sql);",
    to: '            db.exec("commit"); db.exec(sql); db.exec("begin immediate");',
    test: "reliability/upgrade-kill",
  },
  {
    name: "a header read in a way that HTTP/2 does not have",
    file: "server/one-port.js",
    from: "const value = request.headers[name];",
    to: "const value = request.headersDistinct[name];",
    test: "reliability/fuzz",
  },
  {
    name: "an error of a connection that nobody listens to",
    file: "server/one-port.js",
    from: 'socket.on("error", drop);',
    to: "",
    test: "wire/hostile-bytes",
  },
  {
    name: "each call remembered for ever",
    file: "server/http-door.js",
    from: "        const began = performance.now();",
    to: "        const began = performance.now(); (globalThis.calls ??= []).push(Buffer.alloc(20_000, 1));",
    test: "reliability/soak",
  },
  {
    name: "mail that a caller who hung up does not get back",
    file: "server/leased-answers.js",
    from: "if (lost.length > 0)",
    to: "if (false)",
    test: "wire/compat",
  },
  {
    name: "a quota of eleven",
    file: "rate-limit.js",
    from: "nth + limit.windowMs - now",
    to: "nth + limit.windowMs / 2 - now",
    test: "store/sqlite",
  },
  {
    name: "an ack before the print",
    file: "cli/inbox.js",
    from: "    const answer = await pull(bus, agent, options);",
    to: "    const answer = await pull(bus, agent, options); await ackPrinted(bus, agent, answer);",
    test: "cli/inbox",
  },
  {
    name: "Sends taken on a full disk after all",
    file: WRITER,
    from: "done: ballast.held ? verbs.send",
    to: "done: true ? verbs.send",
    test: "store/sqlite-full-disk",
  },
  {
    name: "a Send that rings for nobody",
    file: "server/start-server.js",
    from: "doorbell.ring(inbox)",
    to: "undefined",
    test: "wire/long-poll",
  },
  {
    name: "a backup that replaces what is there",
    file: "store/backup-store.js",
    from: "if (existsSync(target))",
    to: "if (false)",
    test: "store/sqlite-backup",
  },
  {
    name: "a header read in a way that HTTP/2 does not have",
    file: "server/one-port.js",
    from: "const value = request.headers[name];",
    to: "const value = request.headersDistinct[name];",
    test: "wire/mutation-fuzz",
  },
  {
    name: "a database of a newer agentbus opened",
    file: "store/sqlite/migrate.js",
    from: "if (found > all.length)",
    to: "if (false)",
    test: "store/sqlite-file",
  },
  {
    name: "a call repeated that may do more a second time",
    file: "client/repeatable.js",
    from: "method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN",
    to: "true",
    test: "client/retries",
  },
  {
    name: "an ack for a loop's body that was left",
    file: "client/inbox.js",
    from: "let done = false",
    to: "let done = true",
    test: "client/inbox",
  },
  {
    name: "a lease that nobody prolongs",
    file: "client/leased-delivery.js",
    from: "void this.#renew(",
    to: "void (",
    test: "client/inbox",
  },
  {
    name: "more leased than is worked on",
    file: "client/work.js",
    from: "running.size >= concurrency",
    to: "running.size > concurrency",
    test: "client/work",
  },
  {
    name: "a bad message that fails those beside it",
    file: "client/gather-sends.js",
    from: "batch.length > 1 && isFaultOfOne(error)",
    to: "false",
    test: "client/gathering",
  },
  {
    name: "a Send that overtakes what waits in the outbox",
    file: "client/gather-sends.js",
    from: "if (!isOutage(last))",
    to: "if (true)",
    test: "client/outbox",
  },
  {
    name: "a new request_id at each replay",
    file: REPLAY,
    from: "return { sender, recipient, subject, body, requestId,",
    to: "return { sender, recipient, subject, body, requestId: requestId + Math.random(),",
    test: "reliability/outbox",
  },
  {
    name: "a draft removed before its answer",
    file: REPLAY,
    from: "const outcome = await attempt(",
    to: "drafts.sent(draft.id); const outcome = await attempt(",
    test: "reliability/outbox",
  },
  {
    name: "a draft kept after it was answered for",
    file: "client/outbox/shared-file.js",
    from: "return this.read((db) => db.transaction(() => work(db)).immediate());",
    to: 'return this.read((db) => { if (!db.inTransaction) { db.exec("begin immediate"); setTimeout(() => db.exec("commit"), 3); } return work(db); });',
    test: "reliability/outbox",
  },
  {
    name: "a Send that overtakes drafts",
    file: "client/outbox/drafts.js",
    from: "return found !== undefined;",
    to: "return false;",
    test: "outbox/sending",
  },
  {
    name: "a RATE_LIMITED Send that is kept",
    file: "client/outbox/outbox-sender.js",
    from: 'if (verdict.kind !== "wait" || !verdict.isAway)',
    to: 'if (verdict.kind !== "wait")',
    test: "outbox/sending",
  },
  {
    name: "a ttl that begins anew at each replay",
    file: REPLAY,
    from: "(deadlineAt - now) / 1000",
    to: "(deadlineAt - draft.keptAt) / 1000",
    test: "outbox/replay",
  },
  {
    name: "a full inbox that holds up everybody's drafts",
    file: "client/outbox/drafts.js",
    from: "and recipient = @recipient`).run({ bus, sender, recipient, retryAt",
    to: "`).run({ bus, sender, retryAt",
    test: "outbox/replay",
  },
  {
    name: "drafts that are not synced",
    file: "client/outbox/open-outbox.js",
    from: 'db.pragma("synchronous = extra");',
    to: 'db.pragma("synchronous = normal"); if (versionOf(db) < VERSION) createTables(db); return db;',
    test: "outbox/file",
  },
  {
    name: "an inbox tool that marks what it shows as read",
    file: "mcp/reading.js",
    from: "        maxMessages: MAX_MESSAGES,",
    to: "        maxMessages: MAX_MESSAGES, markRead: true,",
    test: "mcp/inbox",
  },
  {
    name: "an MCP host that may name any agent",
    file: "server/mounted-door.js",
    from: "        requireName(who, named);",
    to: "        named.length;",
    test: "mcp/http-door",
  },
  {
    name: "an MCP tool that outlives its host",
    file: "mcp/reading.js",
    from: "signal: gone,",
    to: "",
    test: "mcp/lifetime",
  },
  {
    name: "a question that storms the bus while other mail waits",
    file: "client/await-answer.js",
    from: "Math.min(began + POLL_MS, end) - now",
    to: "0",
    test: "cli/ask",
  },
  {
    name: "a question that gives up when the bus restarts",
    file: "client/await-answer.js",
    from: "if (!passes(error) || left <= 0)",
    to: "if (true)",
    test: "cli/ask",
  },
  {
    name: "an answer printed and left unread",
    file: "cli/ask.js",
    from: "bus.ack({ agent, messageIds: [message.id] })",
    to: "Promise.resolve()",
    test: "cli/ask",
  },
  {
    name: "an answer to a bounce",
    file: "cli/reply.js",
    from: "if (isBounce(message))",
    to: "if (false)",
    test: "cli/reply",
  },
  {
    name: "a history that ends with the first page",
    file: "cli/list-mail.js",
    from: 'while (whole.nextPageToken !== "" &&',
    to: "while (false &&",
    test: "cli/history",
  },
  {
    name: "a watch that an outage ends",
    file: "cli/watch-fleet.js",
    from: "if (!passes(error) ||",
    to: "if (true ||",
    test: "cli/watch",
  },
  {
    name: "a doctor that takes a clock ahead for one behind",
    file: "cli/check-bus.js",
    from: "clockAheadMs > 0",
    to: "clockAheadMs < 0",
    test: "cli/doctor",
  },
  {
    name: "a completion script that evaluates what was typed",
    file: "cli/completion.js",
    from: "done < <(agentbus completion",
    to: "done < <(eval agentbus completion",
    test: "cli/completion",
  },
];
