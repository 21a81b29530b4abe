/**
 * Collects the body of one request within limits. What is too large is refused at once and drained for a while, so that
 * the caller reads the answer instead of a reset. It knows no format.
 */
import { BusError } from "../errors.ts";
import type { HttpRequest } from "./one-port.ts";

/** For a whole body, on HTTP/2 too, where node has no timer of its own. */
const BODY_MS = 30_000;
/** Bytes drained after a refusal before the connection is cut. */
const DRAIN_BYTES = 64 * 1024 * 1024;

/** `framing`: bytes that may come besides the request itself. Throws REQUEST_TOO_LARGE, DEADLINE_EXCEEDED, CANCELED. */
export function readBody(request: HttpRequest, maxBytes: number, framing = 0): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let refused = false;
    const late = setTimeout(() => {
      refuse(
        new BusError({ reason: "DEADLINE_EXCEEDED", advice: `the body did not arrive within ${BODY_MS / 1000} s` }),
      );
    }, BODY_MS);
    const refuse = (error: BusError) => {
      refused = true;
      chunks.length = 0;
      clearTimeout(late);
      reject(error);
    };
    const tooLarge = (actual: number) =>
      new BusError({
        reason: "REQUEST_TOO_LARGE",
        advice: `a request may have ${maxBytes} bytes, this one has ${actual} or more; send less in one request`,
        metadata: { limit: String(maxBytes), actual: String(actual) },
      });
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (refused) {
        if (size > DRAIN_BYTES) request.destroy();
      } else if (size > maxBytes + framing) refuse(tooLarge(size));
      else chunks.push(chunk);
    });
    const gone = () => refuse(new BusError({ reason: "CANCELED", advice: "the caller hung up" }));
    request.once("end", () => {
      clearTimeout(late);
      // Every request is closed in the end: no error need be made for that.
      request.off("close", gone);
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, refused ? 0 : size));
    });
    request.once("error", gone);
    request.once("close", gone);
    const announced = Number(request.headers["content-length"] ?? 0);
    if (announced > maxBytes + framing) refuse(tooLarge(announced));
  });
}
