/**
 * What GET /metrics counts: requests at the doors, transactions at the store. Every count is of this process since its
 * start. It knows names, labels and buckets, and decides nothing; gauges are fleet-gauges.ts's.
 */
import type { Code } from "@connectrpc/connect";
import { Counter, Histogram, Registry } from "prom-client";
import { MessageBus } from "#gen/agentbus/v1/message_bus_pb.js";
import type { Reason } from "../errors.ts";
import type { DeadReason } from "../message.ts";
import type { Commit, CommitObserver } from "../store.ts";
import type { Answer } from "./answer.ts";
import { processMetrics } from "./process-metrics.ts";
import { codeName } from "./wire.ts";

/** The plain-HTTP pair, by the paths that stand for them. */
export const COMPAT_SEND = "/api/send";
export const COMPAT_INBOX = "/api/inbox";

/** A counter is there before it first counts, or a rise from nothing to one would be invisible. */
const RPCS = [...MessageBus.methods.map(({ name }) => name), COMPAT_SEND, COMPAT_INBOX];
const REFUSALS: readonly Reason[] = [
  "RATE_LIMITED",
  "INBOX_FULL",
  "STORAGE_FULL",
  "UNKNOWN_AGENT",
  "TOO_MANY_HOPS",
  "REQUEST_ID_REUSED",
];
const DEATHS: readonly DeadReason[] = ["ATTEMPTS_EXHAUSTED", "EXPIRED", "RECIPIENT_REMOVED", "INBOX_FULL"];

/** From a fraction of a millisecond, as a look takes, to a disk that is ill. */
const DURATIONS_S = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const WAITS_S = [0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 40, 50];
const WRITES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

export class Metrics implements CommitObserver {
  readonly registry = new Registry();
  readonly #process = processMetrics();
  readonly #requests;
  readonly #duration;
  readonly #waits;
  readonly #commits;
  readonly #commitDuration;
  readonly #writes;
  readonly #stored;
  readonly #repeated;
  readonly #refused;
  readonly #redelivered;
  readonly #died;
  readonly #bounced;

  constructor() {
    const registers = [this.registry];
    this.#requests = new Counter({
      name: "agentbus_requests_total",
      help: "Requests answered, by method or path and by Connect code.",
      labelNames: ["rpc", "code"],
      registers,
    });
    this.#duration = new Histogram({
      name: "agentbus_request_duration_seconds",
      help: "From a request read whole to its answer decided; what a pull waits for mail is not in it.",
      labelNames: ["rpc"],
      buckets: DURATIONS_S,
      registers,
    });
    this.#waits = new Histogram({
      name: "agentbus_pull_wait_seconds",
      help: "How long a pull waited for mail, of pulls that waited.",
      buckets: WAITS_S,
      registers,
    });
    this.#commits = new Counter({
      name: "agentbus_commits_total",
      help: "Transactions of the store that were synced to disk (ok), or failed.",
      labelNames: ["outcome"],
      registers,
    });
    this.#commitDuration = new Histogram({
      name: "agentbus_commit_duration_seconds",
      help: "From a transaction's turn until it was synced to disk.",
      buckets: DURATIONS_S,
      registers,
    });
    this.#writes = new Histogram({
      name: "agentbus_commit_writes",
      help: "Writes in one transaction, the bus's own chores among them.",
      buckets: WRITES,
      registers,
    });
    this.#stored = new Counter({
      name: "agentbus_messages_stored_total",
      help: "Messages stored; a broadcast is one, bounces and repeats are none.",
      registers,
    });
    this.#repeated = new Counter({
      name: "agentbus_messages_repeated_total",
      help: "Sends that were answered as before, by their request_id.",
      registers,
    });
    this.#refused = new Counter({
      name: "agentbus_messages_refused_total",
      help: "Messages that the rules of the store refused, by reason such as RATE_LIMITED; those of a batch one by one.",
      labelNames: ["reason"],
      registers,
    });
    this.#redelivered = new Counter({
      name: "agentbus_redeliveries_total",
      help: "Deliveries handed out that had been leased before.",
      registers,
    });
    this.#died = new Counter({
      name: "agentbus_dead_letters_total",
      help: "Deliveries that became dead letters, by reason.",
      labelNames: ["reason"],
      registers,
    });
    this.#bounced = new Counter({
      name: "agentbus_bounces_total",
      help: "Senders told by a bounce that their message died.",
      registers,
    });
    for (const rpc of RPCS) {
      this.#requests.inc({ rpc, code: "ok" }, 0);
      this.#duration.zero({ rpc });
    }
    for (const outcome of ["ok", "failed"]) this.#commits.inc({ outcome }, 0);
    for (const reason of REFUSALS) this.#refused.inc({ reason }, 0);
    for (const reason of DEATHS) this.#died.inc({ reason }, 0);
  }

  /** `code` undefined: it succeeded. */
  answered(rpc: string, code: Code | undefined): void {
    this.#requests.inc({ rpc, code: code === undefined ? "ok" : codeName(code) });
  }

  /** Does a request's work and takes the time, without the milliseconds that it says it `waited` for mail. */
  async timed<T>(rpc: string, work: (waited: (ms: number) => void) => Promise<T>): Promise<T> {
    const began = performance.now();
    let waitedMs: number | undefined;
    try {
      return await work((ms) => {
        waitedMs = (waitedMs ?? 0) + ms;
      });
    } finally {
      const ms = performance.now() - began - (waitedMs ?? 0);
      this.#duration.observe({ rpc }, Math.max(0, ms) / 1000);
      if (waitedMs !== undefined) this.#waits.observe(waitedMs / 1000);
    }
  }

  committed(commit: Commit): void {
    this.#commits.inc({ outcome: "ok" });
    this.#commitDuration.observe(commit.milliseconds / 1000);
    this.#writes.observe(commit.writes);
    this.#stored.inc(commit.stored);
    this.#repeated.inc(commit.repeated);
    for (const [reason, count] of Object.entries(commit.refused)) this.#refused.inc({ reason }, count);
    this.#redelivered.inc(commit.redelivered);
    for (const [reason, count] of Object.entries(commit.died)) this.#died.inc({ reason }, count);
    this.#bounced.inc(commit.bounced);
  }

  commitFailed(): void {
    this.#commits.inc({ outcome: "failed" });
  }

  /** All of it in Prometheus' text format. */
  async scrape(): Promise<Answer> {
    const texts = await Promise.all([this.registry, this.#process].map((registry) => registry.metrics()));
    const body = texts.join("\n");
    const headers = { "content-type": this.registry.contentType, "content-length": String(Buffer.byteLength(body)) };
    return { status: 200, headers, body };
  }
}
