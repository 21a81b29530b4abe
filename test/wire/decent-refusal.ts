/**
 * What every refusal must look like, whatever was sent: a code, a message that begins with its reason, and nothing of the
 * bus's insides.
 */
import { expect } from "vitest";
import type { Reply } from "./http-calls.ts";
import type { RawAnswer } from "./raw-socket.ts";
import { connectError, type Refused, refusedIn } from "./rpc-forms.ts";

const STARTS_WITH_REASON = /^[A-Z]+(_[A-Z]+)*: \S/;
/** Stacks, paths of this machine, SQL, and the engine's own words. */
const INSIDES =
  /\n\s+at |node_modules|node:internal|file:\/\/|\/dist\/|\.[jt]s:\d|sqlite|\bselect .+ from\b|insert into/i;
/** Codes that say that the caller is at fault, or that he should come again. */
const SENSIBLE = ["invalid_argument", "unimplemented", "resource_exhausted", "permission_denied", "deadline_exceeded"];

export function expectDecent(refused: Refused, what: string): void {
  expect(refused.message, what).toMatch(STARTS_WITH_REASON);
  expect(JSON.stringify(refused), what).not.toMatch(INSIDES);
  expect(refused.message.length, what).toBeLessThan(1000);
  expect(SENSIBLE, `${what}: ${refused.message}`).toContain(refused.code);
}

/** A whole answer on the raw connection; gives its refusal. */
export function expectRefusal(answer: RawAnswer | undefined, status: number, what: string): Refused {
  expect(answer?.status, `${what}: ${answer?.body}`).toBe(status);
  expect(answer?.headers["content-type"], what).toBe("application/json");
  const refused = connectError(answer?.body ?? "");
  expectDecent(refused, what);
  return refused;
}

/** In whatever protocol the answer is; gives its refusal. */
export function expectRefused(reply: Reply, what: string): Refused {
  const refused = refusedIn(reply);
  if (refused === undefined) throw new Error(`${what}: answered as if nothing were wrong: ${reply.body.toString()}`);
  if (reply.status !== 200) expect(Math.floor(reply.status / 100), `${what}: ${reply.status}`).toBe(4);
  expectDecent(refused, what);
  return refused;
}
