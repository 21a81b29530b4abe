/**
 * Writes a whole answer to a node response, on HTTP/1.1 and HTTP/2 alike, and tells whether all of it was handed to the
 * socket. It knows nothing of what it says.
 */
import { constants } from "node:http2";
import { finished, Readable } from "node:stream";
import type { HttpResponse } from "./one-port.ts";

const NO_ERROR = constants.NGHTTP2_NO_ERROR;
/**
 * Node takes all that an HTTP/2 window allows at once, and calls it written even when the connection breaks before the
 * socket took it. So it is given a little at a time.
 */
const SLICE_BYTES = 64 * 1024;

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: Uint8Array | string;
  readonly trailers?: Readonly<Record<string, string | string[]>>;
}

/** Nobody is there any more. On HTTP/2 a write would then throw and end the process. */
export function isGone(response: HttpResponse): boolean {
  if (response.destroyed) return true;
  return "stream" in response && (response.stream === undefined || response.stream.destroyed || response.stream.closed);
}

export function writeAnswer(response: HttpResponse, { status, headers, body, trailers }: Answer): void {
  if (isGone(response) || response.headersSent) return;
  // The two classes share these methods but not their overloads.
  const out = response as import("node:http").ServerResponse;
  out.writeHead(status, headers);
  if (trailers !== undefined) out.addTrailers(trailers as Record<string, string>);
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  if ("stream" in response && bytes.length > SLICE_BYTES) Readable.from(slicesOf(bytes)).pipe(out);
  else out.end(bytes);
}

/** Of an answer that has begun, and failed before its end: whoever reads it must neither wait nor take it for whole. */
export function cutShort(response: HttpResponse): void {
  if (response.writableEnded) return;
  if ("stream" in response) response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else response.destroy();
}

function* slicesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += SLICE_BYTES) yield bytes.subarray(start, start + SLICE_BYTES);
}

/** Resolves to true once all of the answer was handed to the socket, to false when the caller hung up before. */
export function handedOver(response: HttpResponse): Promise<boolean> {
  return new Promise((resolve) => {
    if (isGone(response)) return resolve(false);
    if (!("stream" in response)) return finished(response, { readable: false }, (error) => resolve(error == null));
    // An HTTP/2 response "finishes" however its stream ends.
    const { stream } = response;
    stream.once("close", () => resolve(stream.writableFinished && stream.rstCode === NO_ERROR));
  });
}

/** JSON in the shape of Connect's errors and answers. */
export function jsonAnswer(status: number, json: unknown, headers: Record<string, string> = {}): Answer {
  const body = JSON.stringify(json);
  return {
    status,
    headers: { ...headers, "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) },
    body,
  };
}
