/**
 * Takes one message after the other out of an inbox, each under a lease of its own, and waits for the next; behind an
 * outage it goes on. It must not know what is done with a message.
 */
import { setTimeout as delay } from "node:timers/promises";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { v7 as uuidv7 } from "uuid";
import type { PullInboxResponse } from "#gen/agentbus/v1/message_bus_pb.js";
import type { Message } from "#gen/agentbus/v1/message_pb.js";
import { MAX_LEASE_SECONDS, MAX_WAIT_SECONDS } from "../message.ts";
import type { MessageBusClient } from "./connect-bus.ts";
import { LeasedDelivery, LeaseLostError } from "./leased-delivery.ts";
import { passes } from "./passing-failure.ts";
import { fullJitterMs } from "./retry-calls.ts";

export const LEASE_SECONDS = 60;
/** Below the bus's limit of 50, and below what proxies allow. */
const WAIT_SECONDS = 25;
const MAX_BACKOFF_SECONDS = 300;
const MAX_PAUSE_MS = 10_000;
/** What a pull that was cut off may have leased is looked for no longer than this. */
const FAREWELL_MS = 2000;
/** A bus that shuts down answers early: it is not stormed. */
const SHORTEST_WAIT_MS = 1000;

/** What went wrong in a loop that goes on. */
export interface Trouble {
  /** "pull": asking for mail. "lease": prolonging one. "ack": after the work. "handler": the work itself. */
  readonly during: "pull" | "lease" | "ack" | "handler";
  /** Whose work it concerns; absent for a pull. */
  readonly message?: Message;
  /** When the same is tried, or the message comes, again. Absent: it is not. */
  readonly retryInMs?: number;
  /** How many tries failed in a row, with this one. */
  readonly failures: number;
}

export interface InboxOptions {
  /**
   * How long a message is hidden from other workers without a sign of life from this one, in seconds, 1-43,200: 60. It is
   * prolonged for as long as the work takes.
   */
  readonly leaseSeconds?: number | undefined;
  /** How long one call waits for mail, in seconds, 0-50: 25. The loop goes on waiting. */
  readonly waitSeconds?: number | undefined;
  /** The longest that a message whose work failed stays away, in seconds, 1-43,200: 300. */
  readonly maxBackoffSeconds?: number | undefined;
  /** End once the inbox is empty; then an outage is thrown. Absent: wait for mail for ever. */
  readonly once?: boolean | undefined;
  /** Ends the loop: no more mail is taken, what is worked on is finished. */
  readonly signal?: AbortSignal | undefined;
  /** Told of what goes wrong while the loop goes on. Absent: a warning of the process. */
  readonly onError?: ((error: Error, trouble: Trouble) => void) | undefined;
}

export interface Reading {
  readonly agent: string;
  /** With retries. */
  readonly rpc: MessageBusClient;
  /** Without: a loop that goes on repeats its pulls itself, so that an outage is told at once. */
  readonly pulls: Pick<MessageBusClient, "pullInbox">;
  /** Aborts when the client is closed. */
  readonly closed: AbortSignal;
  readonly beforePull: () => void;
}

export class InboxReader {
  readonly #reading: Reading;
  readonly #options: InboxOptions;
  readonly #leaseSeconds: number;
  readonly #end = new AbortController();
  readonly #stop: AbortSignal;

  constructor(reading: Reading, options: InboxOptions) {
    const { leaseSeconds = LEASE_SECONDS, waitSeconds, maxBackoffSeconds, signal } = options;
    requireWhole("leaseSeconds", leaseSeconds, 1, MAX_LEASE_SECONDS);
    requireWhole("waitSeconds", waitSeconds, 0, MAX_WAIT_SECONDS);
    requireWhole("maxBackoffSeconds", maxBackoffSeconds, 1, MAX_LEASE_SECONDS);
    this.#reading = reading;
    this.#options = options;
    this.#leaseSeconds = leaseSeconds;
    this.#stop = AbortSignal.any([this.#end.signal, reading.closed, ...(signal === undefined ? [] : [signal])]);
  }

  /** No more mail is taken. */
  stop(): void {
    this.#end.abort();
  }

  /** Waits for a message. undefined: stopped, or (once) there is none. Throws what does not pass by itself. */
  async next(): Promise<LeasedDelivery | undefined> {
    const { once = false } = this.#options;
    let requestId = uuidv7();
    for (let failures = 0; !this.#stop.aborted; ) {
      const askedAt = performance.now();
      this.#reading.beforePull();
      try {
        const delivery = this.#leased(await this.#pull(requestId, once ? 0 : this.#options.waitSeconds, this.#stop));
        if (delivery !== undefined && !this.#stop.aborted) return delivery;
        await delivery?.giveBack();
        if (once) break;
        failures = 0;
        requestId = uuidv7();
        if (performance.now() - askedAt < SHORTEST_WAIT_MS) await this.#pause(Math.random() * SHORTEST_WAIT_MS);
      } catch (error) {
        if (this.#stop.aborted) {
          await this.#giveBackUnseen(requestId);
          break;
        }
        if (once || !passes(error)) throw error;
        const retryInMs = fullJitterMs(failures++, MAX_PAUSE_MS);
        this.report(error, { during: "pull", retryInMs, failures });
        await this.#pause(retryInMs);
      }
    }
    return undefined;
  }

  /** After the work. True: acknowledged; false: another worker has it, which is reported. Throws what does not pass. */
  async finish(delivery: LeasedDelivery): Promise<boolean> {
    try {
      await delivery.ack();
      return true;
    } catch (error) {
      if (!(error instanceof LeaseLostError)) throw error;
      this.report(error, { during: "ack", message: delivery.message, failures: 1 });
      return false;
    }
  }

  report(error: Error, trouble: Trouble): void {
    const { onError = warn } = this.#options;
    try {
      onError(error, trouble);
    } catch (ofListener) {
      process.emitWarning(ofListener instanceof Error ? ofListener : String(ofListener));
    }
  }

  /** Longer with every attempt, and never the same for two messages: 1-2 s, 2-4 s, 4-8 s, … */
  backoffSeconds({ deliveryAttempt = 1 }: Message): number {
    const longest = Math.min(this.#options.maxBackoffSeconds ?? MAX_BACKOFF_SECONDS, 2 ** deliveryAttempt);
    return Math.max(1, Math.round(longest * (0.5 + Math.random() / 2)));
  }

  #pull(requestId: string, waitSeconds = WAIT_SECONDS, signal?: AbortSignal): Promise<PullInboxResponse> {
    const { agent, rpc, pulls } = this.#reading;
    // One message a lease: a lease is prolonged, and left to run out, as a whole.
    const request = { agent, maxMessages: 1, leaseSeconds: this.#leaseSeconds, waitSeconds, requestId };
    const bus = this.#options.once ? rpc : pulls;
    return bus.pullInbox(request, signal ? { signal } : { timeoutMs: FAREWELL_MS });
  }

  #leased({ messages: [message], leaseId, leaseExpireTime }: PullInboxResponse): LeasedDelivery | undefined {
    if (message === undefined || leaseId === undefined || leaseExpireTime === undefined) return undefined;
    const { rpc, agent } = this.#reading;
    return new LeasedDelivery(message, leaseId, timestampMs(leaseExpireTime), {
      rpc,
      agent,
      leaseSeconds: this.#leaseSeconds,
      stop: this.#stop,
      onTrouble: (error, trouble) => this.report(error, trouble),
    });
  }

  /** A pull that was cut off may have leased all the same: its repeat takes that lease up, so that nothing stays hidden. */
  async #giveBackUnseen(requestId: string): Promise<void> {
    const answer = await this.#pull(requestId, 0).catch(() => undefined);
    await (answer && this.#leased(answer))?.giveBack();
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stop }).catch(() => {});
  }
}

/** Nobody listens: an outage is told once, if it is more than a broken connection, and all else as it comes. */
function warn(error: Error, { during, retryInMs, failures }: Trouble): void {
  if (during === "handler" || retryInMs === undefined || failures === 2) process.emitWarning(error);
}

/** Throws a RangeError; absent is fine. */
export function requireWhole(name: string, value: number | undefined, min: number, max: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= min && value <= max)) return;
  throw new RangeError(`${name} must be a whole number from ${min} to ${max}, not ${value}`);
}
