/** Traces that pass through the bus (W3C Trace Context). It knows a header's value, and no request besides. */

/** As the recommendation has it: lower case, no version ff, neither id all zeros. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** A trace goes on through the message: its own traceparent, or else the header's if that is one. */
export function traced<R extends { traceparent?: string | undefined }>(request: R, header: string | undefined): R {
  if (request.traceparent !== undefined || header === undefined || !TRACEPARENT.test(header)) return request;
  return { ...request, traceparent: header };
}
