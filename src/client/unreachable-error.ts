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
  /** Another try may find it mended; false: something else than a bus lives at that address. */
  readonly mayPass: boolean;
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
    return this.attempts.some((attempt) => attempt.mayPass);
  }
}
