/**
 * The error of a call that no bus answered. Apart from connect-bus.ts so that who shows it need not load a transport;
 * it must not know what a person could do about it.
 */

/** One address that was tried in vain. */
export interface Attempt {
  readonly url: string;
  /** Such as "ECONNREFUSED". */
  readonly why: string;
  /** The connection stood, so the bus may have carried out the request all the same. */
  readonly mayHaveArrived: boolean;
  /** Something else than a bus lives at that address: another try would meet it again. */
  readonly isOther?: boolean;
}

export class UnreachableError extends Error {
  readonly attempts: readonly Attempt[];

  constructor(attempts: readonly Attempt[]) {
    super(`no bus answers at ${attempts.map(({ url, why }) => `${url} (${why})`).join(", ")}`);
    this.name = "UnreachableError";
    this.attempts = attempts;
  }

  /** Only a request_id makes a repeat safe. */
  get mayHaveArrived(): boolean {
    return this.attempts.some((attempt) => attempt.mayHaveArrived);
  }

  /** Another try may do better. */
  get mayPass(): boolean {
    return this.attempts.some(({ isOther }) => !isOther);
  }

  /** The same outage, to a request that waited behind the one that was tried. */
  ofUnsent(): UnreachableError {
    return new UnreachableError(this.attempts.map((attempt) => ({ ...attempt, mayHaveArrived: false })));
  }
}
