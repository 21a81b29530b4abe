/** What a failed try means for a draft: DESIGN's rules of replay in one table. It must not know how drafts are kept. */
import { ConnectError } from "@connectrpc/connect";
import { BusRefusal, refusalFromConnect } from "../bus-refusal.ts";
import { UnreachableError } from "../unreachable-error.ts";

/** In words, for whoever asks why a draft is where it is. */
interface Told {
  readonly reason: string;
}

export type Verdict =
  /** No repeat will be taken: set it aside, go on with the next. */
  | (Told & { readonly kind: "refused" })
  /** The recipient's inbox is full: go on with the others. */
  | (Told & { readonly kind: "inbox full" })
  /** A defect, of the bus or on the way: count it, and stop for now. */
  | (Told & { readonly kind: "internal" })
  /** It is not this draft's fault: stop, and wait. */
  | (Told & {
      readonly kind: "wait";
      /** The bus is not there, or not able to take anything. */
      readonly isAway: boolean;
      readonly mayHaveArrived: boolean;
      /** Milliseconds before which a repeat is useless. */
      readonly retryAfterMs?: number | undefined;
    });

const REFUSED: readonly string[] = [
  "invalid_argument",
  "permission_denied",
  "not_found",
  "already_exists",
  // Of a Send: TOO_MANY_HOPS.
  "failed_precondition",
  "unimplemented",
];

export function verdictOn(error: unknown): Verdict {
  if (error instanceof UnreachableError) {
    return { kind: "wait", reason: error.message, isAway: true, mayHaveArrived: error.mayHaveArrived };
  }
  const refusal = error instanceof ConnectError ? refusalFromConnect(error) : error;
  if (!(refusal instanceof BusRefusal)) {
    return { kind: "internal", reason: error instanceof Error ? error.message : String(error) };
  }
  const { code, message, retryAfterMs } = refusal;
  const reason = message === "" ? code : message;
  if (REFUSED.includes(code)) return { kind: "refused", reason };
  switch (code) {
    case "resource_exhausted":
      return exhausted(refusal, reason);
    case "unavailable":
    case "deadline_exceeded":
      return { kind: "wait", reason, isAway: true, mayHaveArrived: true, retryAfterMs };
    case "canceled":
      return { kind: "wait", reason, isAway: false, mayHaveArrived: true };
    case "unauthenticated":
      return { kind: "wait", reason, isAway: false, mayHaveArrived: false };
    default:
      return { kind: "internal", reason };
  }
}

/** One code for four things, which only the reason tells apart. */
function exhausted(refusal: BusRefusal, reason: string): Verdict {
  switch (refusal.reason) {
    case "INBOX_FULL":
      return { kind: "inbox full", reason };
    case "REQUEST_TOO_LARGE":
      return { kind: "refused", reason };
    default:
      return { kind: "wait", reason, isAway: false, mayHaveArrived: false, retryAfterMs: refusal.retryAfterMs };
  }
}
