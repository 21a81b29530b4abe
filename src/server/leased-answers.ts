/**
 * Pulls under way that may hand out the same lease: a pull and its repeats. Mail that none of them got goes back once the
 * last is done, never earlier: a repeat that is on its way may be handed that very lease. It knows no pull and no protocol.
 */

import { foldName } from "../message.ts";

interface UnderWay {
  pulls: number;
  /** Leases handed out, and whether any answer with them arrived whole. */
  readonly leases: Map<string, boolean>;
}

export interface LeasedPull<T> {
  readonly agent: string;
  /** undefined: it has no repeats. */
  readonly requestId?: string | undefined;
  readonly pull: () => Promise<T>;
  /** Resolves to whether its answer was handed over whole. */
  readonly answered: Promise<boolean>;
  /** Called with leases whose mail nobody got. Never rejects. */
  readonly giveBack: (leaseIds: readonly string[]) => Promise<void>;
}

export class LeasedAnswers {
  readonly #underWay = new Map<string, UnderWay>();

  async run<T extends { readonly lease: { readonly id: string; readonly repeated: boolean } | undefined }>(
    call: LeasedPull<T>,
  ): Promise<T> {
    const key = call.requestId === undefined ? undefined : `${foldName(call.agent)} ${call.requestId}`;
    const group = (key !== undefined && this.#underWay.get(key)) || { pulls: 0, leases: new Map<string, boolean>() };
    if (key !== undefined) this.#underWay.set(key, group);
    group.pulls++;
    const leave = async () => {
      group.pulls--;
      if (group.pulls > 0) return;
      if (key !== undefined) this.#underWay.delete(key);
      const lost = [...group.leases].filter(([, arrived]) => !arrived).map(([id]) => id);
      if (lost.length > 0) await call.giveBack(lost);
    };
    try {
      const pulled = await call.pull();
      const { lease } = pulled;
      if (lease === undefined) void leave();
      else {
        void call.answered.then((arrived) => {
          // A lease from before may be in good hands: only who took it can lose it.
          if (arrived || !lease.repeated) group.leases.set(lease.id, arrived || group.leases.get(lease.id) === true);
          return leave();
        });
      }
      return pulled;
    } catch (error) {
      await leave();
      throw error;
    }
  }
}
