/**
 * Tokens and who speaks with one. It knows neither headers nor where tokens are kept.
 */
import { createHash, randomBytes } from "node:crypto";

/** On whose behalf a call is made. The shared bus token, or a bus without tokens, lets anyone act as anyone. */
export type Principal =
  | { readonly kind: "anyone" }
  | { readonly kind: "admin"; readonly tokenId: string }
  | { readonly kind: "agent"; readonly tokenId: string; readonly agent: string };

export const ANYONE: Principal = { kind: "anyone" };

/** A token as it is kept: never itself, only its hash. */
export interface TokenRecord {
  /** Names it in lists and logs; says nothing about the token. */
  readonly id: string;
  /** undefined: an admin token. */
  readonly agent: string | undefined;
  readonly createdAt: number;
  /** undefined: in force. */
  readonly revokedAt: number | undefined;
}

/** 256 random bits; the prefix lets people and secret scanners recognize one. */
export function newToken(): string {
  return `agentbus_${randomBytes(32).toString("base64url")}`;
}

/** Plain SHA-256 is enough for what has 256 random bits: nobody guesses those, however fast. */
export function hashToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
