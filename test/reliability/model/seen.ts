/** When agents were last seen. It may lag by some seconds, so it is held against all calls in an agent's name. */
import type { Agent } from "#dist/message.js";
import type { Page, Sent } from "#dist/store.js";
import type { Outcome, Request } from "./requests.ts";

export class Seen {
  /** By agent: the times of all calls in its name. */
  readonly #calls = new Map<string, Set<number>>();
  /** By agent: the last call that was answered and must be on disk once the store was closed. */
  readonly #last = new Map<string, number>();

  /** `isKept`: whether the store has a place for that name, to note anything at. */
  note(request: Request, outcome: Outcome, now: number, isKept: (name: string) => boolean): void {
    for (const [name, answered] of callersOf(request, outcome, now)) {
      this.noteMaybe(name, now);
      if (answered && isKept(name)) this.#last.set(name, now);
    }
  }

  noteMaybe(name: string, now: number): void {
    this.#calls.set(name, (this.#calls.get(name) ?? new Set()).add(now));
  }

  check({ items }: Page<Agent>): void {
    for (const { name, lastSeenAt } of items) {
      if (lastSeenAt === undefined || this.#calls.get(name)?.has(lastSeenAt)) continue;
      throw new Error(`${name} was last seen at ${lastSeenAt}, when nobody called in its name`);
    }
  }

  /** After the store was closed and opened again. */
  checkWritten({ items }: Page<Agent>): void {
    for (const { name, lastSeenAt } of items) {
      const last = this.#last.get(name);
      if (last === undefined || (lastSeenAt ?? 0) >= last) continue;
      throw new Error(`${name} called at ${last}, and was last seen at ${lastSeenAt} after a restart`);
    }
  }
}

/** In whose name a request was made, and whether it was answered. */
function callersOf(request: Request, outcome: Outcome, now: number): [name: string, answered: boolean][] {
  const answered = "answer" in outcome;
  switch (request.verb) {
    case "send": {
      const outcomes = (answered ? outcome.answer : []) as (Sent | { refused: string })[];
      // A node's second try of its own, with the same ids, is no call of the sender's.
      const isCall = (one: Sent | { refused: string } | undefined) =>
        one !== undefined && "id" in one && (one.deduplicated || one.timestamp === now);
      return request.args[0].map(({ sender }, i) => [sender, isCall(outcomes[i])]);
    }
    case "pull":
    case "listMessages":
      return [[request.args[0].agent, answered]];
    case "ack":
    case "extendLease":
    case "giveBack":
    case "registerAgent":
    case "getMessage":
      return [[request.args[0], answered]];
    default:
      return [];
  }
}
