/** Reads what a watch shows: all agents, and what one of them received last. It must not know how that is shown. */
import type { Agent } from "#gen/agentbus/v1/agent_pb.js";
import { Box } from "#gen/agentbus/v1/message_bus_pb.js";
import type { Message } from "#gen/agentbus/v1/message_pb.js";
import type { MessageBusClient } from "../client/connect-bus.ts";
import { passes } from "../client/passing-failure.ts";
import { MAX_PAGE_SIZE } from "../message.ts";
import { answerOf } from "./call-bus.ts";
import { Failure } from "./failure.ts";

/** More new mail than this between two looks is not shown whole. */
const MAX_MAIL = 100;
/** Bytes of a body: a glance. */
const MAX_BODY_BYTES = 200;

export interface Fleet {
  readonly at: Date;
  readonly agents: readonly Agent[];
  /** Newest first; empty without a name to look as. */
  readonly mail: readonly Message[];
}

/** An outage is something to show, too: the failure's words. */
export type Look = Fleet | { readonly at: Date; readonly outage: string };

/** By the history: a look at the inbox gives the oldest mail only, and nothing that was read. Fails with anything but an outage. */
export async function lookAtFleet(
  bus: MessageBusClient,
  agent: string | undefined,
  signal: AbortSignal,
): Promise<Look> {
  try {
    const agents: Agent[] = [];
    let pageToken = "";
    do {
      const request = { pageSize: MAX_PAGE_SIZE, includeUnregistered: true, pageToken };
      const page = await bus.listAgents(request, { signal });
      agents.push(...page.agents);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    const request = { box: Box.INBOX, pageSize: MAX_MAIL, maxBodyBytes: MAX_BODY_BYTES };
    const mail = agent === undefined ? [] : (await bus.listMessages({ agent, ...request }, { signal })).messages;
    return { at: new Date(), agents, mail };
  } catch (error) {
    const failure = await answerOf(Promise.reject(error)).catch((told) => told);
    if (!passes(error) || !(failure instanceof Failure)) throw failure;
    return { at: new Date(), outage: failure.message };
  }
}
