/**
 * Judges workers on one inbox by what the store answered them, and nothing else: who was the last to be handed a message
 * holds it, alone may ack it, and what nobody acked is still there in the end.
 */

export interface Grant {
  readonly leaseId: string;
  readonly expireAt: number;
  readonly messages: readonly { readonly id: string; readonly deliveryAttempt: number }[];
}

interface Mail {
  /** The last lease that handed it out. */
  holder: string | undefined;
  /** Until when, unless it was given back. */
  until: number;
  attempts: number;
  /** The one lease that acked it. */
  ackedBy: string | undefined;
}

export class Referee {
  readonly #mail = new Map<string, Mail>();
  readonly #handedOut = new Map<string, readonly string[]>();
  /** Messages that went from one lease to another. */
  takeovers = 0;

  arrived(id: string): void {
    this.#mail.set(id, { holder: undefined, until: 0, attempts: 0, ackedBy: undefined });
  }

  /** What can be handed out now. */
  free(now: number): string[] {
    return [...this.#mail].filter(([, { until, ackedBy }]) => ackedBy === undefined && until <= now).map(([id]) => id);
  }

  granted(now: number, { leaseId, expireAt, messages }: Grant): void {
    for (const { id, deliveryAttempt } of messages) {
      const mail = this.#get(id);
      if (mail.ackedBy !== undefined) throw new Error(`${id} was acked by ${mail.ackedBy} and handed out again`);
      if (mail.until > now) throw new Error(`${id} is held by ${mail.holder} and was handed out to ${leaseId}`);
      if (mail.holder !== undefined) this.takeovers += 1;
      Object.assign(mail, { holder: leaseId, until: expireAt, attempts: mail.attempts + 1 });
      if (mail.attempts !== deliveryAttempt)
        throw new Error(`${id} is at attempt ${deliveryAttempt}, not ${mail.attempts}`);
    }
    this.#handedOut.set(
      leaseId,
      messages.map(({ id }) => id),
    );
  }

  /** Ids whose ack by this lease does not count: those that another one was handed since. */
  acked(leaseId: string, ids: readonly string[]): string[] {
    const counted = ids.filter((id) => this.#get(id).holder === leaseId);
    for (const id of counted) this.#get(id).ackedBy ??= leaseId;
    return ids.filter((id) => !counted.includes(id));
  }

  /** What an extension or a give-back of this lease has nothing to do with any more, of these ids. */
  lost(now: number, leaseId: string, ids: readonly string[]): string[] {
    const held = this.#held(now, leaseId);
    return ids.filter((id) => !held.includes(id));
  }

  handedOut(leaseId: string): readonly string[] {
    return this.#handedOut.get(leaseId) ?? [];
  }

  extended(now: number, leaseId: string, until: number): void {
    for (const id of this.#held(now, leaseId)) this.#get(id).until = until;
  }

  /** Costs no attempt. */
  gaveBack(now: number, leaseId: string, ids: readonly string[]): void {
    for (const id of this.#held(now, leaseId).filter((id) => ids.includes(id))) {
      const mail = this.#get(id);
      Object.assign(mail, { until: now, attempts: mail.attempts - 1 });
    }
  }

  get unacked(): string[] {
    return [...this.#mail].filter(([, { ackedBy }]) => ackedBy === undefined).map(([id]) => id);
  }

  #held(now: number, leaseId: string): string[] {
    const all = [...this.#mail].filter(([, mail]) => mail.holder === leaseId && mail.ackedBy === undefined);
    return all.filter(([, { until }]) => until > now).map(([id]) => id);
  }

  #get(id: string): Mail {
    const mail = this.#mail.get(id);
    if (mail === undefined) throw new Error(`${id} was handed out and never sent`);
    return mail;
  }
}
