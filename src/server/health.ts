/**
 * Whether mail can be read and written right now: GET /healthz (the process answers, and its version), GET /readyz, and
 * gRPC health on top of it. None needs a token nor tells anything but that.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Store } from "../store.ts";
import { type Answer, jsonAnswer } from "./answer.ts";
import { packageVersion } from "./package-version.ts";

/** A disk that takes longer than this is not ready. */
const CHECK_MS = 2000;
/** A check writes and syncs: whoever asks more often is told what the last one found. */
const FRESH_MS = 1000;
/** How often those who watch are told, at most. */
const WATCH_MS = 5000;

export class Health {
  readonly #store: Pick<Store, "check">;
  readonly #drained = new AbortController();
  readonly #version = packageVersion();
  #last: { readonly at: number; readonly status: Promise<string> } | undefined;

  constructor(store: Pick<Store, "check">) {
    this.#store = store;
  }

  /** From now on it is not ready, and nobody watches any longer. */
  drain(): void {
    this.#drained.abort();
  }

  alive(): Answer {
    return jsonAnswer(200, { status: "ok", version: this.#version });
  }

  async ready(): Promise<Answer> {
    const status = await this.status();
    return jsonAnswer(status === "ok" ? 200 : 503, { status });
  }

  /** "ok", or why not. */
  async status(): Promise<string> {
    if (this.#drained.signal.aborted) return "draining";
    const now = performance.now();
    if (this.#last === undefined || now - this.#last.at >= FRESH_MS) this.#last = { at: now, status: this.#check() };
    return this.#last.status;
  }

  /** The status now, and again whenever it is another; ends after "draining", or when `gone`. */
  async *changes(gone: AbortSignal): AsyncGenerator<string> {
    const signal = AbortSignal.any([gone, this.#drained.signal]);
    let told: string | undefined;
    while (!gone.aborted) {
      const status = await this.status();
      if (status !== told) yield status;
      told = status;
      if (status === "draining") return;
      // Rejects only because there is something new: it is over.
      await sleep(WATCH_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
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
