/** How often each outcome occurred, so that one sees that a test was not about nothing. */
import type { Acked, Pulled, Sent } from "#dist/store.js";
import type { Outcome, Request } from "./requests.ts";

export class Figures {
  readonly #counts = new Map<string, number>();

  count(what: string, which: string, times = 1): void {
    const name = `${what} ${which}`;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + times);
  }

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  /** On one line, by name. */
  get line(): string {
    const all = [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1));
    return all.map(([name, count]) => `${name}: ${count}`).join(", ");
  }

  outcome(request: Request, outcome: Outcome): void {
    const { verb } = request;
    this.count("commands", "in all");
    const answer = "answer" in outcome ? outcome.answer : undefined;
    if ("refused" in outcome) this.count(verb, outcome.refused);
    else if (verb === "send") {
      for (const one of answer as (Sent | { refused: string })[]) this.count(verb, sendOutcome(one));
    } else if (verb === "ack") {
      const { ackedCount, unknown, stale } = answer as Acked;
      this.count(verb, "counted", ackedCount);
      this.count(verb, "unknown", unknown.length);
      this.count(verb, "stale", stale.length);
    } else if (verb === "pull") {
      const { messages, hasMore, lease } = answer as Pulled;
      const [{ taking, leaseId }] = request.args;
      const repeated = lease !== undefined && lease.id !== leaseId ? "repeated" : "gave";
      this.count(verb, `${taking.kind} ${messages.length === 0 ? "empty" : repeated}`);
      if (hasMore) this.count(verb, "has more");
      if (messages.some(({ deliveryAttempt }) => deliveryAttempt > 1)) this.count(verb, "redelivered");
    } else this.count(verb, emptyOrNot(answer));
  }
}

function sendOutcome(one: Sent | { readonly refused: string }): string {
  if ("refused" in one) return one.refused;
  if (one.deduplicated) return "deduplicated";
  return one.fullInboxes.length > 0 ? "stored, some inbox full" : "stored";
}

function emptyOrNot(answer: unknown): string {
  if (answer === undefined || answer === 0) return "nothing";
  if (typeof answer === "object" && answer !== null) {
    const { items, stale, redrivenCount } = answer as { items?: unknown[]; stale?: unknown[]; redrivenCount?: number };
    if (items?.length === 0 || redrivenCount === 0) return "nothing";
    if (stale !== undefined && stale.length > 0) return "some stale";
  }
  return "done";
}
