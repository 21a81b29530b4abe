/**
 * Sends what callers send at the same time in batches: while one is on its way, new messages wait, and its answer sends
 * the next. There is no timer, so that a lone sender waits for nothing. It must not know who calls, nor what is done
 * where no bus answers.
 */
import { setImmediate as othersFirst } from "node:timers/promises";
import { isMessage } from "@bufbuild/protobuf";
import {
  type SendRequest,
  SendRequestSchema,
  type SendResponse,
  SendResponseSchema,
} from "#gen/agentbus/v1/message_bus_pb.js";
import { ALL, foldName, MAX_BATCH_ITEMS } from "../message.ts";
import { BusRefusal, refusalFromBatch } from "./bus-refusal.ts";
import type { MessageBusClient } from "./connect-bus.ts";
import type { NamedLetter } from "./outbox/draft.ts";
import { type LiveSend, liveSendOver, sendRequestOf } from "./outbox/live-send.ts";
import { isOutage } from "./passing-failure.ts";
import { UnreachableError } from "./unreachable-error.ts";
import { refuseBrokenText } from "./well-formed.ts";

/** The bus takes 4 MiB; the rest is for what stands around the text. */
const MAX_TEXT_BYTES = 3.5 * 1024 * 1024;
/** Of one message, even where it is the batch that is refused. */
const FAULTS: readonly string[] = ["INVALID_FIELD", "MALFORMED_JSON", "BODY_TOO_LARGE", "REQUEST_TOO_LARGE"];

interface Waiting {
  readonly letter: NamedLetter;
  readonly request: SendRequest;
  readonly sender: string;
  readonly bytes: number;
  readonly resolve: (response: SendResponse) => void;
  readonly reject: (error: unknown) => void;
  /** Aborted: its caller took it back. */
  readonly signal: AbortSignal | undefined;
  /** No item of a batch: a broadcast, or one of a batch that was refused for the fault of one. */
  alone: boolean;
  /** When it stops waiting for the end of a rate limit, on the clock of performance.now(); set by the first refusal. */
  giveUpAt?: number;
}

export class SendGatherer {
  readonly #rpc: Pick<MessageBusClient, "send" | "sendBatch" | "broadcast">;
  readonly #sendAlone: LiveSend;
  readonly #limitedForMs: number;
  /** In the order in which they were sent. */
  #queue: Waiting[] = [];
  /** Until when a sender's messages wait because of its rate limit, on the clock of performance.now(). */
  readonly #heldUntil = new Map<string, number>();
  #wakeUp: NodeJS.Timeout | undefined;
  #running = false;

  /** `rpc` repeats what is safe to repeat, but a rate limit: that is waited for here, for this sender alone. */
  constructor(rpc: Pick<MessageBusClient, "send" | "sendBatch" | "broadcast">, limitedForMs: number) {
    this.#rpc = rpc;
    this.#sendAlone = liveSendOver(rpc);
    this.#limitedForMs = limitedForMs;
  }

  /**
   * Resolves once it is on disk. Messages of one sender are stored in the order of these calls. An aborted signal takes it
   * back only while it waits here; where it is on its way, the outcome is unknown.
   */
  send(letter: NamedLetter, signal?: AbortSignal): Promise<SendResponse> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const request = sendRequestOf(letter);
      refuseBrokenText(SendRequestSchema, { ...request });
      const takeBack = () => {
        this.#queue = this.#queue.filter((other) => other !== one);
        one.reject(signal?.reason);
      };
      const settled = () => signal?.removeEventListener("abort", takeBack);
      const one: Waiting = {
        letter,
        request,
        sender: foldName(letter.sender),
        bytes: Buffer.byteLength(letter.subject) + Buffer.byteLength(letter.body),
        signal,
        alone: foldName(letter.recipient) === ALL,
        resolve: (response) => {
          settled();
          resolve(response);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      signal?.addEventListener("abort", takeBack, { once: true });
      this.#queue.push(one);
      this.#start();
    });
  }

  #start(): void {
    if (this.#running) return;
    this.#running = true;
    // Once the caller's turn is over: what it sends without waiting goes together.
    queueMicrotask(() => void this.#run());
  }

  /** Never fails: what goes wrong is told to whose message it is. */
  async #run(): Promise<void> {
    for (let batch = this.#take(); batch.length > 0; batch = this.#take()) {
      await this.#sendTogether(batch);
      // Those who were answered just now may send their next, which then goes into the same batch.
      await othersFirst();
    }
    this.#running = false;
    if (this.#queue.length > 0) this.#sleep();
  }

  /** What goes together: all that fits, or one that goes alone. Who is held keeps his place, with all his messages. */
  #take(): Waiting[] {
    const batch: Waiting[] = [];
    const left: Waiting[] = [];
    const now = performance.now();
    let bytes = 0;
    let at = 0;
    for (const one of this.#queue) {
      const held = (this.#heldUntil.get(one.sender) ?? 0) > now;
      const full = batch.length === MAX_BATCH_ITEMS || bytes + one.bytes > MAX_TEXT_BYTES;
      if (!held && batch[0] !== undefined && (full || one.alone || batch[0].alone)) break;
      (held ? left : batch).push(one);
      if (!held) bytes += one.bytes;
      at++;
    }
    this.#queue = [...left, ...this.#queue.slice(at)];
    return batch;
  }

  async #sendTogether(batch: readonly Waiting[]): Promise<void> {
    let outcomes: readonly unknown[];
    try {
      outcomes = await this.#outcomesOf(batch);
    } catch (error) {
      if (batch.length > 1 && isFaultOfOne(error)) {
        for (const one of batch) one.alone = true;
        return this.#sendAgain(batch);
      }
      outcomes = batch.map(() => error);
    }
    this.#sendAgain(batch.filter((one, i) => !this.#settle(one, outcomes[i])));
    const last = outcomes.at(-1);
    if (!isOutage(last)) return;
    // Nothing may overtake what could not be sent, least of all what a caller now keeps in an outbox.
    const failure = last instanceof UnreachableError ? last.ofUnsent() : last;
    for (const one of this.#queue.splice(0)) one.reject(failure);
  }

  async #outcomesOf(batch: readonly Waiting[]): Promise<unknown[]> {
    const [first, ...others] = batch;
    if (first !== undefined && others.length === 0) return [await this.#sendAlone(first.letter)];
    const { results } = await this.#rpc.sendBatch({ requests: batch.map(({ request }) => request) });
    return batch.map((_, i) => {
      const outcome = results[i]?.outcome;
      if (outcome?.case === "response") return outcome.value;
      return outcome?.case === "error" ? refusalFromBatch(outcome.value) : new Error("the bus left out an outcome");
    });
  }

  /** At their old place, but for those that were taken back meanwhile. */
  #sendAgain(ones: readonly Waiting[]): void {
    this.#queue = [...ones.filter(({ signal }) => !signal?.aborted), ...this.#queue];
  }

  /** False: it is to be sent again. */
  #settle(one: Waiting, outcome: unknown): boolean {
    if (isMessage(outcome, SendResponseSchema)) {
      one.resolve(outcome);
      return true;
    }
    if (isLimit(outcome)) {
      const now = performance.now();
      const until = now + outcome.retryAfterMs;
      one.giveUpAt ??= now + this.#limitedForMs;
      if (until <= one.giveUpAt) {
        this.#heldUntil.set(one.sender, until);
        return false;
      }
    }
    one.reject(outcome);
    return true;
  }

  /** Until the first of those who are held may go on. */
  #sleep(): void {
    clearTimeout(this.#wakeUp);
    const now = performance.now();
    for (const [sender, until] of this.#heldUntil) if (until <= now) this.#heldUntil.delete(sender);
    const next = Math.min(...this.#heldUntil.values());
    this.#wakeUp = setTimeout(() => this.#start(), Number.isFinite(next) ? next - now + 1 : 0);
  }
}

/** What a batch was refused for as a whole: when each goes alone, only the guilty one fails. */
function isFaultOfOne(error: unknown): boolean {
  return error instanceof BusRefusal && FAULTS.includes(error.reason);
}

/** A refusal of this one message that says when it ends. */
function isLimit(outcome: unknown): outcome is BusRefusal & { readonly retryAfterMs: number } {
  return outcome instanceof BusRefusal && outcome.code === "resource_exhausted" && outcome.retryAfterMs !== undefined;
}
