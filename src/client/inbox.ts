/** An inbox as a loop: `for await (const message of …)`. It must not know how mail is leased. */
import type { Message } from "#gen/agentbus/v1/message_pb.js";
import type { InboxReader } from "./inbox-reader.ts";

/** A message in hand, hidden from other workers by a lease that is prolonged until the loop's body is done with it. */
export type LeasedMessage = Message & {
  /** Done with it, whatever becomes of the loop's body: for a body that breaks or returns. */
  ack(): Promise<void>;
  /** Aborts with a LeaseLostError when another worker may have it. */
  readonly signal: AbortSignal;
};

/**
 * Asking for the next message acknowledges the last one. A body that is left (by break, return or throw: the loop can't
 * tell them apart) leaves its message unacknowledged, so that it comes again later, with a higher attempt.
 */
export async function* readInbox(reader: InboxReader): AsyncGenerator<LeasedMessage, void, void> {
  for (let delivery = await reader.next(); delivery !== undefined; delivery = await reader.next()) {
    const { message, lost } = delivery;
    let done = false;
    try {
      const ack = delivery.ack.bind(delivery);
      // Not enumerable: it still prints, compares and serializes as the message that it is.
      yield Object.defineProperties(message, { ack: { value: ack }, signal: { value: lost } }) as LeasedMessage;
      done = true;
    } finally {
      if (!done) await delivery.comeAgainIn(reader.backoffSeconds(message));
    }
    await reader.finish(delivery);
  }
}
