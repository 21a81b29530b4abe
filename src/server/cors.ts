/**
 * Which pages in a browser may call the bus from another origin, and what they may send and see (CORS). It knows headers
 * and no door.
 */
import { cors } from "@connectrpc/connect";
import type { HeaderOf } from "./admission.ts";
import type { Answer } from "./answer.ts";

/** Without these a page could read neither an error of gRPC-Web nor how long to wait. */
const EXPOSED = [...cors.exposedHeaders, "Retry-After"].join(", ");
const ALLOWED_HEADERS = [
  ...cors.allowedHeaders,
  ...["X-Bus-Token", "Authorization", "traceparent"],
  // At /mcp, of every version of the protocol.
  ...["X-Bus-Agent", "Mcp-Protocol-Version", "Mcp-Session-Id", "Mcp-Method", "Mcp-Name"],
].join(", ");
/** Seconds for which a browser need not ask again; none believes more than two hours. */
const MAX_AGE_S = 7200;

export class Cors {
  readonly #origins: ReadonlySet<string>;

  /** Each origin as browsers send it, such as https://page.example or http://localhost:5173. */
  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins);
  }

  allows(origin: string | undefined): boolean {
    return origin !== undefined && this.#origins.has(origin);
  }

  /** For every answer to a request from this origin, whatever it says. */
  headersFor(origin: string | undefined): readonly (readonly [name: string, value: string])[] {
    if (this.#origins.size === 0) return [];
    // A cache must not give one page what was marked for another.
    const vary = ["vary", "Origin"] as const;
    if (origin === undefined || !this.allows(origin)) return [vary];
    return [vary, ["access-control-allow-origin", origin], ["access-control-expose-headers", EXPOSED]];
  }

  /** The answer to a browser that asks whether a page may send what it means to; undefined: it may not, or asks nothing. */
  preflight(header: HeaderOf): Answer | undefined {
    if (!this.allows(header("origin")) || header("access-control-request-method") === undefined) return undefined;
    const headers = {
      "access-control-allow-methods": cors.allowedMethods.join(", "),
      "access-control-allow-headers": ALLOWED_HEADERS,
      "access-control-max-age": String(MAX_AGE_S),
    };
    return { status: 204, headers, body: "" };
  }
}
