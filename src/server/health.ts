/**
 * GET /healthz: the process answers. GET /readyz: mail can be read and written right now. Neither needs a token nor tells
 * anything but that.
 */
import type { Store } from "../store.ts";
import { type Answer, jsonAnswer } from "./answer.ts";

/** A disk that takes longer than this is not ready. */
const CHECK_MS = 2000;
/** A check writes and syncs: whoever asks more often is told what the last one found. */
const FRESH_MS = 1000;

export class Health {
  readonly #store: Pick<Store, "check">;
  #draining = false;
  #last: { readonly at: number; readonly outcome: Promise<string> } | undefined;

  constructor(store: Pick<Store, "check">) {
    this.#store = store;
  }

  drain(): void {
    this.#draining = true;
  }

  alive(): Answer {
    return jsonAnswer(200, { status: "ok" });
  }

  async ready(): Promise<Answer> {
    if (this.#draining) return jsonAnswer(503, { status: "draining" });
    const now = performance.now();
    if (this.#last === undefined || now - this.#last.at >= FRESH_MS) this.#last = { at: now, outcome: this.#check() };
    const outcome = await this.#last.outcome;
    return jsonAnswer(outcome === "ok" ? 200 : 503, { status: outcome });
  }

  #check(): Promise<string> {
    const late = AbortSignal.timeout(CHECK_MS);
    return Promise.race([
      this.#store.check().then(
        () => "ok",
        () => "storage failed",
      ),
      new Promise<string>((resolve) => late.addEventListener("abort", () => resolve("storage is slow"))),
    ]);
  }
}
