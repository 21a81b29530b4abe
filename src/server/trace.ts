/** Traces that pass through the bus (W3C Trace Context). It knows a header's value, and no request besides. */
import { isTraceparent } from "../message.ts";

/** A trace goes on through the message: its own traceparent, or else the header's if that is one. */
export function traced<R extends { traceparent?: string | undefined }>(request: R, header: string | undefined): R {
  if (request.traceparent !== undefined || header === undefined || !isTraceparent(header)) return request;
  return { ...request, traceparent: header };
}
