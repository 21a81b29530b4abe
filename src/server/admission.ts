/**
 * Who may come in, judged from the headers alone, before a body is read: every door calls it. It knows tokens, hosts and
 * origins, and nothing of what is asked.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { BusError } from "../errors.ts";
import { isLoopback } from "./loopback.ts";

/** A header of the request by its name in lower case; "host" also where HTTP/2 calls it :authority. */
export type HeaderOf = (name: string) => string | undefined;

const RETRY_WHEN_DRAINING_MS = 1000;

export class Admission {
  readonly #token: Uint8Array | undefined;
  #draining = false;

  constructor(token: string | undefined) {
    this.#token = token === undefined ? undefined : hash(token);
  }

  /** From now on everything new is refused: the node shuts down. */
  drain(): void {
    this.#draining = true;
  }

  /** Throws TOKEN_MISSING, TOKEN_INVALID, FOREIGN_ORIGIN, DRAINING. */
  admit(header: HeaderOf): void {
    if (this.#token === undefined) this.#admitLocal(header);
    else this.#admitToken(this.#token, header);
    if (this.#draining) {
      throw new BusError({
        reason: "DRAINING",
        advice: "this bus is shutting down; repeat in a moment, with the same request_id",
        retryAfterMs: RETRY_WHEN_DRAINING_MS,
      });
    }
  }

  #admitToken(expected: Uint8Array, header: HeaderOf): void {
    const given = header("x-bus-token") || bearerOf(header("authorization"));
    if (!given) {
      throw new BusError({
        reason: "TOKEN_MISSING",
        advice: "this bus wants a token: send it as the header X-Bus-Token, or as Authorization: Bearer",
      });
    }
    // Hashes have one length, whatever was sent: the comparison tells nothing by its time.
    if (!timingSafeEqual(hash(given), expected)) {
      throw new BusError({
        reason: "TOKEN_INVALID",
        advice: "that token is not the bus's; check it for cut or added characters",
      });
    }
  }

  /** Without a token any page in a browser could read the mail: only this machine's own names, and no foreign page. */
  #admitLocal(header: HeaderOf): void {
    const origin = header("origin");
    const foreign = [header("host"), origin && (URL.parse(origin)?.host ?? origin)].find(
      (host) => host && !isLoopback(hostnameOf(host)),
    );
    if (foreign !== undefined) {
      throw new BusError({
        reason: "FOREIGN_ORIGIN",
        advice: `a bus without a token serves only this machine's own names, not "${foreign.slice(0, 70)}"; start it with a token (AGENTBUS_TOKEN)`,
      });
    }
  }
}

function hash(token: string): Uint8Array {
  return createHash("sha256").update(token).digest();
}

function bearerOf(authorization: string | undefined): string | undefined {
  return /^bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
}

function hostnameOf(host: string): string {
  return URL.parse(`http://${host}`)?.hostname ?? host;
}
