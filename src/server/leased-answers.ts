/**
 * Answers under way that hand out a lease: more than one when a pull was repeated meanwhile. What became of a lease's
 * mail is settled once, when none is under way any more. It knows no pull and no protocol.
 */

interface UnderWay {
  answers: number;
  arrived: boolean;
}

export class LeasedAnswers {
  readonly #leases = new Map<string, UnderWay>();

  /**
   * `answered` resolves to whether this answer was handed over whole. Resolves, when no other answer with this lease is
   * under way, to whether any of them was; to undefined when another will settle it.
   */
  async settled(leaseId: string, answered: Promise<boolean>): Promise<boolean | undefined> {
    const lease = this.#leases.get(leaseId) ?? { answers: 0, arrived: false };
    this.#leases.set(leaseId, lease);
    lease.answers++;
    const whole = await answered;
    lease.answers--;
    lease.arrived ||= whole;
    if (lease.answers > 0) return undefined;
    this.#leases.delete(leaseId);
    return lease.arrived;
  }
}
