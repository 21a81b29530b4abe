/**
 * One message that is held by a lease while somebody works on it: prolongs the lease, and ends it as the work ended. It
 * must not know what the work is, nor what mail comes next.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Message } from "#gen/agentbus/v1/message_pb.js";
import type { MessageBusClient } from "./connect-bus.ts";
import { passes } from "./passing-failure.ts";
import { fullJitterMs } from "./retry-calls.ts";

/** Of what a lease still runs: two more tries are left when the first one fails. */
const RENEWALS_A_LEASE = 3;
const MAX_PAUSE_MS = 10_000;

/** The message may be handed to another worker, or was: what is done to it from now on may be done twice. */
export class LeaseLostError extends Error {
  constructor(messageId: string, why: string, options?: ErrorOptions) {
    super(`the lease of message ${messageId} is lost: ${why}`, options);
    this.name = "LeaseLostError";
  }
}

export interface LeaseTrouble {
  readonly during: "ack" | "lease";
  readonly message: Message;
  readonly retryInMs?: number;
  /** In a row, with this one. */
  readonly failures: number;
}

export interface Leasing {
  readonly rpc: MessageBusClient;
  readonly agent: string;
  readonly leaseSeconds: number;
  /** Told of each try that failed, and of a lost lease: that one comes without a time of the next try. */
  readonly onTrouble: (error: Error, trouble: LeaseTrouble) => void;
  /** Aborted: what fails is not tried again and again. */
  readonly stop: AbortSignal;
}

export class LeasedDelivery {
  readonly message: Message;
  /** Aborts with a LeaseLostError when the lease is lost. */
  readonly lost: AbortSignal;
  readonly #leasing: Leasing;
  readonly #leaseId: string;
  readonly #loss = new AbortController();
  readonly #ended = new AbortController();
  #acked = false;
  /** When the lease runs out, on the clock of performance.now(). */
  #until: number;

  /** `leaseExpireTime` in milliseconds since 1970 by the bus's clock: a repeated pull hands out what is left of a lease. */
  constructor(message: Message, leaseId: string, leaseExpireTime: number, leasing: Leasing) {
    this.message = message;
    this.lost = this.#loss.signal;
    this.#leaseId = leaseId;
    this.#leasing = leasing;
    const wholeMs = leasing.leaseSeconds * 1000;
    this.#until = performance.now() + wholeMs;
    // Where the two clocks differ, the worst that follows is a renewal too many, or the usual one.
    const leftMs = Math.min(wholeMs, leaseExpireTime - Date.now());
    void this.#renew(Math.max(0, leftMs - wholeMs + wholeMs / RENEWALS_A_LEASE));
  }

  /**
   * Done: it never comes again, also where its lease ran out and nobody took it over. Tries until it is answered, or until
   * it is stopped. Throws a LeaseLostError if another worker has it, or a BusRefusal.
   */
  async ack(): Promise<void> {
    const { rpc, agent, stop, onTrouble } = this.#leasing;
    const { message } = this;
    for (let failures = 1; !this.#acked; failures++) {
      try {
        const { ackedCount } = await rpc.ack({ agent, messageIds: [message.id], leaseId: this.#leaseId });
        this.#end();
        if (ackedCount === 0) break;
        this.#acked = true;
      } catch (error) {
        if (stop.aborted || !passes(error)) {
          this.#end();
          throw error;
        }
        const retryInMs = fullJitterMs(failures - 1, MAX_PAUSE_MS);
        onTrouble(error, { during: "ack", message, retryInMs, failures });
        await delay(retryInMs, undefined, { signal: stop }).catch(() => {});
      }
    }
    if (!this.#acked) throw new LeaseLostError(message.id, "another worker took it over, or it is a dead letter");
  }

  /** Not done: it comes again after so many seconds, with one more attempt counted. */
  async comeAgainIn(seconds: number): Promise<void> {
    await this.#modify(seconds);
  }

  /** Never begun: it comes again at once, and no attempt is counted. */
  async giveBack(): Promise<void> {
    await this.#modify(0);
  }

  /** The lease that is left alone runs out by itself, so that a failure here delays the message and no more. */
  async #modify(leaseSeconds: number): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.#end();
    const { rpc, agent } = this.#leasing;
    await rpc.modifyLease({ agent, leaseId: this.#leaseId, leaseSeconds }).catch(() => {});
  }

  /** Acked, given back, or left to run out: it is prolonged no more. */
  #end(): void {
    this.#ended.abort();
  }

  async #renew(firstMs: number): Promise<void> {
    const { rpc, agent, leaseSeconds, onTrouble } = this.#leasing;
    const { message } = this;
    const { signal } = this.#ended;
    const pause = (ms: number) => delay(ms, undefined, { signal }).catch(() => {});
    await pause(firstMs);
    for (let failures = 0; !signal.aborted; ) {
      const askedAt = performance.now();
      try {
        const timeoutMs = Math.max(1, this.#until - askedAt);
        await rpc.modifyLease({ agent, leaseId: this.#leaseId, leaseSeconds }, { signal, timeoutMs });
        this.#until = askedAt + leaseSeconds * 1000;
        failures = 0;
        await pause((leaseSeconds * 1000) / RENEWALS_A_LEASE);
      } catch (error) {
        if (signal.aborted) return;
        const leftMs = this.#until - performance.now();
        if (!passes(error) || leftMs <= 0) {
          const why = error instanceof Error ? error.message : String(error);
          const loss = new LeaseLostError(message.id, why, { cause: error });
          this.#loss.abort(loss);
          return onTrouble(loss, { during: "lease", message, failures: failures + 1 });
        }
        const retryInMs = Math.min(leftMs, fullJitterMs(failures++, MAX_PAUSE_MS));
        onTrouble(error, { during: "lease", message, retryInMs, failures });
        await pause(retryInMs);
      }
    }
  }
}
