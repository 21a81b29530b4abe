/**
 * Writes an answer that is made while it is written to a node response, on HTTP/1.1 and HTTP/2 alike, no faster than its
 * reader takes it. It knows nothing of what it says.
 */
import { type EventEmitter, once } from "node:events";
import { constants } from "node:http2";
import { isGone } from "./answer.ts";
import type { HttpResponse } from "./one-port.ts";

const LINGER_MS = 300;

type Headers = Readonly<Record<string, string | string[]>>;

export interface StreamAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: AsyncIterable<Uint8Array>;
  /** Asked once the body is at its end. */
  readonly trailers: () => Headers | undefined;
}

/** Or closed. */
async function drained(out: EventEmitter): Promise<void> {
  const settled = new AbortController();
  const { signal } = settled;
  await Promise.race([once(out, "drain", { signal }), once(out, "close", { signal })]);
  settled.abort(); // or the other one would listen on
}

/** Resolves when all is handed over or the reader is gone; the body is then told to end. */
export async function writeStream(response: HttpResponse, { status, headers, body, trailers }: StreamAnswer) {
  if (isGone(response) || response.headersSent) return;
  // The two classes share these methods but not their overloads.
  const out = response as import("node:http").ServerResponse;
  out.writeHead(status, headers);
  // Whoever asked waits for the first word of an answer that may have none for long.
  out.flushHeaders();
  for await (const chunk of body) {
    if (isGone(response)) return;
    if (!out.write(chunk)) await drained(out);
  }
  if (isGone(response)) return;
  const last = trailers();
  if (last !== undefined) out.addTrailers(last as Record<string, string>);
  out.end();
  // A caller who could go on asking is told not to (RFC 9113, 8.1): once the trailers have left, of which node says nothing.
  if ("stream" in response) setTimeout(() => response.stream?.close(constants.NGHTTP2_NO_ERROR), LINGER_MS).unref();
}
