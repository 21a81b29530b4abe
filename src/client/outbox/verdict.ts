/** What a failed try means for a draft: DESIGN's rules of replay in one table. It must not know how drafts are kept. */
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.js";
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

const REFUSED = [
  Code.InvalidArgument,
  Code.PermissionDenied,
  Code.NotFound,
  Code.AlreadyExists,
  // Of a Send: TOO_MANY_HOPS.
  Code.FailedPrecondition,
  Code.Unimplemented,
];

export function verdictOn(error: unknown): Verdict {
  if (error instanceof UnreachableError) {
    return { kind: "wait", reason: error.message, isAway: true, mayHaveArrived: error.mayHaveArrived };
  }
  if (!(error instanceof ConnectError)) {
    return { kind: "internal", reason: error instanceof Error ? error.message : String(error) };
  }
  const { code, rawMessage } = error;
  const reason = rawMessage === "" ? Code[code] : rawMessage;
  if (REFUSED.includes(code)) return { kind: "refused", reason };
  switch (code) {
    case Code.ResourceExhausted:
      return exhausted(error, reason);
    case Code.Unavailable:
    case Code.DeadlineExceeded:
      return { kind: "wait", reason, isAway: true, mayHaveArrived: true, retryAfterMs: retryAfterMs(error) };
    case Code.Canceled:
      return { kind: "wait", reason, isAway: false, mayHaveArrived: true };
    case Code.Unauthenticated:
      return { kind: "wait", reason, isAway: false, mayHaveArrived: false };
    default:
      return { kind: "internal", reason };
  }
}

/** One code for four things, which only the reason tells apart. */
function exhausted(error: ConnectError, reason: string): Verdict {
  switch (error.findDetails(ErrorInfoSchema)[0]?.reason) {
    case "INBOX_FULL":
      return { kind: "inbox full", reason };
    case "REQUEST_TOO_LARGE":
      return { kind: "refused", reason };
    default:
      return { kind: "wait", reason, isAway: false, mayHaveArrived: false, retryAfterMs: retryAfterMs(error) };
  }
}

function retryAfterMs(error: ConnectError): number | undefined {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay && Math.ceil(Number(delay.seconds) * 1000 + delay.nanos / 1e6);
}
