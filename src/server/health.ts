/**
 * GET /healthz: the process answers. GET /readyz: mail can be read and written right now. Neither needs a token nor tells
 * anything but that.
 */
import type { Store } from "../store.ts";
import { type Answer, jsonAnswer } from "./answer.ts";

/** A disk that takes longer than this is not ready. */
const CHECK_MS = 2000;

export class Health {
  readonly #store: Pick<Store, "check">;
  #draining = false;

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
    const late = AbortSignal.timeout(CHECK_MS);
    const outcome = await Promise.race([
      this.#store.check().then(
        () => "ok",
        () => "storage failed",
      ),
      new Promise<string>((resolve) => late.addEventListener("abort", () => resolve("storage is slow"))),
    ]);
    return jsonAnswer(outcome === "ok" ? 200 : 503, { status: outcome });
  }
}
