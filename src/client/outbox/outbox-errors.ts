/** How the outbox itself fails, and a Send with it. Loads no database. It must not know what a bus answers. */
import { ConnectError } from "@connectrpc/connect";
import { BusRefusal } from "../bus-refusal.ts";
import { UnreachableError } from "../unreachable-error.ts";

/** The file of drafts can't be used, or can't take this one; the message names it and says what to do. */
export class OutboxError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "OutboxError";
  }
}

/** There is room for no further draft of that sender. */
export class OutboxFullError extends OutboxError {}

/** The bus is away, and no draft could be kept either: this Send is the caller's again. */
export class NotKeptError extends UnreachableError {
  readonly #mayHaveArrived: boolean;

  /** `away` is what the bus's absence looked like. */
  constructor(away: Error, why: OutboxError) {
    super(away instanceof UnreachableError ? away.attempts : []);
    const plain = away instanceof ConnectError ? away.rawMessage : away.message;
    this.name = "NotKeptError";
    this.message = `${plain}; and no draft could be kept: ${why.message}`;
    this.cause = away;
    // What a bus answered with "unavailable" it may have stored all the same; anything else says that nothing was tried.
    const answered = away instanceof ConnectError || away instanceof BusRefusal;
    this.#mayHaveArrived = away instanceof UnreachableError ? away.mayHaveArrived : answered;
  }

  override get mayHaveArrived(): boolean {
    return this.#mayHaveArrived;
  }
}

/** As a bus says it: the same request_id names another message in the outbox. */
export function requestIdReused(requestId: string, draftId: number): BusRefusal {
  const advice = `request_id "${requestId}" names draft ${draftId} of the outbox, which says something else; take a new one for each thing you mean to do`;
  return new BusRefusal(`REQUEST_ID_REUSED: ${advice}`, { code: "already_exists", reason: "REQUEST_ID_REUSED" });
}
