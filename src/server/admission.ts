/**
 * Who may come in, judged from the headers alone, before a body is read: every door calls it. It knows tokens, hosts and
 * origins, and nothing of what is asked.
 */
import { timingSafeEqual } from "node:crypto";
import { RateLimiterMemory, type RateLimiterRes } from "rate-limiter-flexible";
import { BusError } from "../errors.ts";
import { ANYONE, hashToken, type Principal, type TokenRecord } from "../token.ts";
import { isLoopback } from "./loopback.ts";

/** A header of the request by its name in lower case; "host" also where HTTP/2 calls it :authority. */
export type HeaderOf = (name: string) => string | undefined;

const RETRY_WHEN_DRAINING_MS = 1000;
/** Wrong tokens from one address within a window before the answer is to wait. */
const FAILURES = 20;
const FAILURES_WINDOW_S = 60;

export interface AdmissionOptions {
  /** The shared bus token; undefined: none. */
  readonly token: string | undefined;
  /** The shared token, or none, is not enough. */
  readonly requireAgentTokens: boolean;
  /** Pages of this origin may call, also where no token is needed. */
  readonly allowsOrigin: (origin: string) => boolean;
  readonly findToken: (hash: Uint8Array) => Promise<TokenRecord | undefined>;
  /** Throws BUSY when there is no room for another call: told before its body is read. */
  readonly requireRoom: () => void;
  /** A wrong token came from this address for the first time within a window. */
  readonly suspicious: (address: string) => void;
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #shared: Uint8Array | undefined;
  /** No call needs a token. */
  readonly open: boolean;
  readonly #failures = new RateLimiterMemory({ points: FAILURES, duration: FAILURES_WINDOW_S });
  #draining = false;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#shared = options.token === undefined ? undefined : hashToken(options.token);
    this.open = options.token === undefined && !options.requireAgentTokens;
  }

  /** From now on everything new is refused: the node shuts down. */
  drain(): void {
    this.#draining = true;
  }

  /** Who speaks. Throws TOKEN_MISSING, TOKEN_INVALID, RATE_LIMITED, FOREIGN_ORIGIN, BUSY, DRAINING. */
  async admit(header: HeaderOf, address: string): Promise<Principal> {
    this.#options.requireRoom();
    return this.identify(header, address);
  }

  /** The same also when there is no room: for whoever looks what keeps the bus so busy. Never throws BUSY. */
  async identify(header: HeaderOf, address: string): Promise<Principal> {
    const given = tokenIn(header);
    const principal = given ? await this.#bearing(given, address) : this.#bare();
    if (this.open) this.#admitLocal(header);
    if (this.#draining) {
      throw new BusError({
        reason: "DRAINING",
        advice: "this bus is shutting down; repeat in a moment, with the same request_id",
        retryAfterMs: RETRY_WHEN_DRAINING_MS,
      });
    }
    return principal;
  }

  /** Throws TOKEN_INVALID when the token of a caller who was let in has been revoked meanwhile: for calls that last. */
  async confirm(header: HeaderOf): Promise<void> {
    const given = tokenIn(header);
    if (given && (await this.#principalOf(given)) === undefined) throw this.#invalid();
  }

  async #bearing(given: string, address: string): Promise<Principal> {
    const principal = await this.#principalOf(given);
    if (principal === undefined) throw await this.#wrong(address);
    return principal;
  }

  /** undefined: nobody's token. */
  async #principalOf(given: string): Promise<Principal | undefined> {
    const hash = hashToken(given);
    // Hashes have one length, whatever was sent: the comparison tells nothing by its time.
    if (this.#shared !== undefined && timingSafeEqual(hash, this.#shared)) {
      return this.#options.requireAgentTokens ? undefined : ANYONE;
    }
    // Looked up by its hash: what the time of that look-up tells is of no use to find the token.
    const record = await this.#options.findToken(hash);
    if (record === undefined) return undefined;
    const { id: tokenId, agent } = record;
    return agent === undefined ? { kind: "admin", tokenId } : { kind: "agent", tokenId, agent };
  }

  #bare(): Principal {
    if (this.open) return ANYONE;
    throw new BusError({
      reason: "TOKEN_MISSING",
      advice: "this bus wants a token: send it as the header X-Bus-Token, or as Authorization: Bearer",
    });
  }

  /** Wrong tokens are counted for each address; a right one is never refused, for many agents may share a proxy. */
  async #wrong(address: string): Promise<BusError> {
    const outcome = await this.#failures.consume(address).catch((refused: RateLimiterRes | Error) => refused);
    if (outcome instanceof Error) throw outcome;
    if (outcome.consumedPoints === 1) this.#options.suspicious(address);
    if (outcome.consumedPoints > FAILURES) {
      return new BusError({
        reason: "RATE_LIMITED",
        advice: `${FAILURES} wrong tokens in ${FAILURES_WINDOW_S} s came from this address; mend the token and wait`,
        retryAfterMs: outcome.msBeforeNext,
        quota: { subject: "address", description: `wrong tokens: ${FAILURES} in ${FAILURES_WINDOW_S} s` },
      });
    }
    return this.#invalid();
  }

  #invalid(): BusError {
    return new BusError({
      reason: "TOKEN_INVALID",
      advice: this.#options.requireAgentTokens
        ? "that token is not one of this bus's agent or admin tokens, or was revoked; the shared token is switched off here"
        : "that token is not the bus's, or was revoked; check it for cut or added characters, or ask whoever runs the bus for a new one",
    });
  }

  /** Without a token any page in a browser could read the mail, or read it away: only this machine's names and pages. */
  #admitLocal(header: HeaderOf): void {
    const origin = header("origin");
    const page = origin && !this.#options.allowsOrigin(origin) ? URL.parse(origin)?.host || origin : undefined;
    const foreign =
      [header("host"), page].find((host) => host && !isLoopback(hostnameOf(host))) ??
      // An image or a link brings no Origin, but browsers tell that it stands in a page of another site.
      (!origin && header("sec-fetch-site") === "cross-site" ? "a page of another site" : undefined);
    if (foreign !== undefined) {
      throw new BusError({
        reason: "FOREIGN_ORIGIN",
        advice: `a bus without a token serves only this machine's own names, not "${foreign.slice(0, 70)}"; start it with a token (AGENTBUS_TOKEN), or let a page in by --cors-origin`,
      });
    }
  }
}

/** "" or undefined: none. */
export function tokenIn(header: HeaderOf): string | undefined {
  return header("x-bus-token") || /^bearer +(\S+) *$/i.exec(header("authorization") ?? "")?.[1];
}

function hostnameOf(host: string): string {
  return URL.parse(`http://${host}`)?.hostname ?? host;
}
