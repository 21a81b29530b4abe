/**
 * What the store asks of its writer thread and what comes back: plain data that can be cloned. It knows no SQL.
 */
import type { Refusal } from "../../errors.ts";
import type { Agent } from "../../message.ts";
import type { Acked, LeaseModified, NewMessage, Pull, Redriven, Sent, StorePolicy } from "../../store.ts";
import type { Died } from "./dying.ts";
import type { HandedOut } from "./leasing.ts";

/** What the thread is started with. */
export interface WriterData {
  readonly path: string;
  readonly policy: StorePolicy;
  readonly now: number;
}

export interface WriteVerbs {
  send: { input: { readonly messages: readonly NewMessage[] }; output: readonly Outcome<Sent>[] };
  pull: { input: { readonly pull: Pull }; output: HandedOut };
  ack: {
    input: { readonly agent: string; readonly messageIds: readonly string[]; readonly leaseId: string | undefined };
    output: Acked;
  };
  extendLease: {
    input: { readonly agent: string; readonly leaseId: string; readonly ms: number };
    output: LeaseModified & { readonly endsSooner: boolean };
  };
  giveBack: {
    input: {
      readonly agent: string;
      readonly leaseId: string;
      readonly messageIds: readonly string[] | undefined;
    };
    output: LeaseModified;
  };
  registerAgent: { input: { readonly agent: string; readonly description: string | undefined }; output: Agent };
  removeAgent: { input: { readonly agent: string; readonly force: boolean }; output: Died };
  redrive: {
    input: { readonly agent: string; readonly messageIds: readonly string[] | undefined };
    output: Redriven;
  };
  sweep: { input: { readonly limit: number }; output: Died };
  index: { input: { readonly limit: number; readonly maxCharacters: number }; output: boolean };
  retain: { input: { readonly limit: number }; output: boolean };
  /** Nothing but a transaction: carries what was seen, and shows that writing works. */
  touch: { input: object; output: undefined };
}

export type Verb = keyof WriteVerbs;
export type Write = { [V in Verb]: { readonly verb: V } & WriteVerbs[V]["input"] }[Verb];

/** How one write ended. A failure is a defect: its text is for the log, never for a caller. */
export type Outcome<T = unknown> = { readonly done: T } | { readonly refusal: Refusal } | { readonly failure: string };

/** One transaction. */
export interface Batch {
  readonly now: number;
  readonly writes: readonly Write[];
  /** Last calls in agents' names that are not written yet: name and time. */
  readonly seen: readonly (readonly [name: string, at: number])[];
}

/** `lost`: the transaction did not commit, or nobody knows; nothing of it may be acknowledged. */
export type Reply =
  | { readonly opened: true }
  | { readonly outcomes: readonly Outcome[] }
  | { readonly lost: Refusal; readonly cause: string };
