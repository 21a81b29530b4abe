/** Requests as plain data, asked of a real store and of the model alike, and outcomes that can be compared and read. */
import { BusError } from "#dist/errors.js";
import type { Store } from "#dist/store.js";
import { Refused } from "./mail.ts";
import type { ModelBus, Verb } from "./model-bus.ts";

export type Request = { [V in Verb]: { readonly verb: V; readonly args: Parameters<Store[V]> } }[Verb];

/** An answer, or why there is none. */
export type Outcome = { readonly answer: unknown } | { readonly refused: string; readonly retryAfterMs?: number };

export async function ask(target: Store | ModelBus, { verb, args }: Request): Promise<Outcome> {
  try {
    const answer = await (target[verb] as (...args: unknown[]) => unknown).apply(target, args);
    return { answer: Array.isArray(answer) ? answer.map((item) => refusalOf(item) ?? item) : answer };
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined) throw error;
    return refusal;
  }
}

function refusalOf(value: unknown): { refused: string; retryAfterMs?: number } | undefined {
  if (!(value instanceof BusError) && !(value instanceof Refused)) return undefined;
  const { reason, retryAfterMs } = value instanceof BusError ? value.refusal : value;
  return { refused: reason, ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

/** The same text for the same data, whatever the order of its properties; undefined is as good as absent. */
export function textOf(data: unknown): string {
  return JSON.stringify(data, (name, value: unknown) => {
    if (name === "contentHash") return undefined;
    if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
