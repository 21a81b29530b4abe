/** How the outbox itself fails, and a Send with it. Loads no database. It must not know what a bus answers. */
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { UnreachableError } from "../unreachable-error.ts";

/** The file of drafts can't be used, or can't take this one; the message names it and says what to do. */
export class OutboxError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "OutboxError";
  }
}

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
    // What a bus answered with "unavailable" it may have stored all the same.
    this.#mayHaveArrived = away instanceof UnreachableError ? away.mayHaveArrived : true;
  }

  override get mayHaveArrived(): boolean {
    return this.#mayHaveArrived;
  }
}

/** As a bus says it: the same request_id names another message in the outbox. */
export function requestIdReused(requestId: string, draftId: number): ConnectError {
  const advice = `request_id "${requestId}" names draft ${draftId} of the outbox, which says something else; take a new one for each thing you mean to do`;
  const detail = { desc: ErrorInfoSchema, value: { reason: "REQUEST_ID_REUSED", domain: "agentbus" } };
  return new ConnectError(`REQUEST_ID_REUSED: ${advice}`, Code.AlreadyExists, undefined, [detail]);
}
