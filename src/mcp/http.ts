/**
 * The tools over Streamable HTTP, mounted on a bus. Nothing outlives its request: each has a server and a client of its
 * own, for the versions of the protocol that know sessions too. It must not know the bus, but for the connections that
 * it is given: each call passes admission with the token that the host brought.
 */
import type { Duplex } from "node:stream";
import { createMcpHandler } from "@modelcontextprotocol/server";
import { BusClient } from "../client/bus-client.ts";
import { type BusServerParts, busServer } from "./bus-server.ts";
import { openDesk } from "./tool.ts";

/** One admitted request. */
export interface HostCall {
  readonly request: Request;
  /** Who the host speaks for. */
  readonly agent: string;
  readonly token: string | undefined;
  /** A connection to the bus that was called. */
  readonly connect: () => Duplex;
}

/** The bus is there by definition: an outbox would have nothing to wait for, nor would a repeat. */
const NO_RETRY_MS = 0;
/** A name that passes for this machine's own; nothing dials it. */
const NEVER_DIALED = "http://localhost";

export function openMcpDoor(parts: Omit<BusServerParts, "desk">): (call: HostCall) => Promise<Response> {
  return async ({ request, agent, token, connect }) => {
    // Who brought no token has none, whatever the environment of the bus says.
    const who = { token: token ?? "", agent };
    const bus = new BusClient({ urls: NEVER_DIALED, ...who, connect, retryForMs: NO_RETRY_MS, outbox: false });
    // Subscriptions would be streams without an end, and no tool ever changes.
    const handler = createMcpHandler(() => busServer({ ...parts, desk: openDesk(agent, bus) }), {
      maxSubscriptions: 0,
    });
    return handler.fetch(request);
  };
}
