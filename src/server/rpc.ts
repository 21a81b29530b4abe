/**
 * The methods of agentbus.v1.MessageBus: takes a request apart, asks the bus, puts the answer together. It knows no
 * rule of the bus and no protocol.
 */

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import type { MessageBus } from "#gen/agentbus/v1/message_bus_pb.js";
import type { Bus } from "../bus.ts";
import { BusError } from "../errors.ts";
import type { Caller } from "../requests.ts";
import type { Principal } from "../token.ts";
import { toWireError } from "./error-answer.ts";
import { fromFramework } from "./error-codes.ts";
import type { LeasedAnswers } from "./leased-answers.ts";
import type { Load } from "./load.ts";
import type { Logger } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { callKey } from "./rpc-door.ts";
import { traced } from "./trace.ts";
import {
  domainBox,
  wireAgent,
  wireBatchResult,
  wireBroadcast,
  wirePulled,
  wireReceipt,
  wireSent,
  wireTime,
  wireView,
} from "./wire.ts";

type Methods = ServiceImpl<typeof MessageBus>;

export interface MethodParts {
  readonly bus: Bus;
  readonly answers: LeasedAnswers;
  readonly load: Load;
  readonly metrics: Metrics;
  readonly log: Logger;
}

export function messageBusMethods({ bus, answers, load, metrics, log }: MethodParts): Methods {
  const methods: Methods = {
    async send(request, context) {
      return wireSent(await bus.send(principalOf(context), traced(request, traceOf(context))));
    },
    async sendBatch({ requests }, context) {
      const outcomes = await bus.sendBatch(
        principalOf(context),
        requests.map((request) => traced(request, traceOf(context))),
      );
      return { results: outcomes.map(wireBatchResult) };
    },
    async broadcast(request, context) {
      return wireBroadcast(await bus.broadcast(principalOf(context), traced(request, traceOf(context))));
    },
    async pullInbox(request, context) {
      const who = principalOf(context);
      const pulled = await answers.run({
        agent: request.agent,
        requestId: request.requestId,
        pull: () => bus.pullInbox(who, request, callerOf(context)),
        answered: context.values.get(callKey)?.answered ?? Promise.resolve(true),
        giveBack: (leaseIds) => giveBackLost({ bus, log }, who, request.agent, leaseIds),
      });
      return wirePulled(pulled);
    },
    async ack(request, context) {
      const { ackedCount, unknown, stale } = await bus.ack(principalOf(context), request);
      return { ackedCount, unknownMessageIds: [...unknown], staleMessageIds: [...stale] };
    },
    async modifyLease(request, context) {
      const { expireAt, stale } = await bus.modifyLease(principalOf(context), request);
      const leaseExpireTime = wireTime(expireAt);
      return { staleMessageIds: [...stale], ...(leaseExpireTime && { leaseExpireTime }) };
    },
    async registerAgent(request, context) {
      return { agent: wireAgent(await bus.registerAgent(principalOf(context), request)) };
    },
    async removeAgent(request, context) {
      const by = principalOf(context);
      const deadCount = await bus.removeAgent(by, request);
      log.info(
        { audit: "RemoveAgent", by, agent: request.agent, force: request.force, deadCount },
        "an agent was removed",
      );
      return { deadCount };
    },
    async listAgents(request) {
      const { agents, nextPageToken } = await bus.listAgents(request);
      return { agents: agents.map(wireAgent), nextPageToken };
    },
    async redriveDeadLetters(request, context) {
      const by = principalOf(context);
      const { redrivenCount, unknown } = await bus.redriveDeadLetters(by, request);
      // With an agent's token it is the inbox's own agent.
      if (by.kind !== "agent") {
        log.info(
          { audit: "RedriveDeadLetters", by, agent: request.agent, redrivenCount },
          "dead letters were redriven",
        );
      }
      return { redrivenCount, unknownMessageIds: [...unknown] };
    },
    async listMessages({ sinceTime, untilTime, box, ...request }, context) {
      const times = { since: sinceTime && timestampMs(sinceTime), until: untilTime && timestampMs(untilTime) };
      const { messages, nextPageToken } = await bus.listMessages(principalOf(context), {
        ...request,
        ...times,
        box: domainBox(box),
      });
      return { messages: messages.map(wireView), nextPageToken };
    },
    async getMessage(request, context) {
      return { message: wireView(await bus.getMessage(principalOf(context), request)) };
    },
    async getReceipt(request, context) {
      const { receipts, ...rest } = await bus.getReceipt(principalOf(context), request);
      return { ...rest, receipts: receipts.map(wireReceipt) };
    },
  };
  return guarded(methods, { load, metrics, log });
}

/** An answer that could not be written whole costs no attempt: what it leased goes back. */
export async function giveBackLost(
  { bus, log }: Pick<MethodParts, "bus" | "log">,
  who: Principal,
  agent: string,
  leaseIds: readonly string[],
): Promise<void> {
  try {
    for (const leaseId of leaseIds) await bus.modifyLease(who, { agent, leaseId, leaseSeconds: 0, messageIds: [] });
  } catch (err) {
    log.warn({ err, agent }, "a lost answer's lease could not be given back; it will run out");
  }
}

/** Every method, counted while it runs, timed, with refusals and defects in their wire form. */
function guarded(methods: Methods, { load, metrics, log }: Pick<MethodParts, "load" | "metrics" | "log">): Methods {
  type Method = (request: unknown, context: HandlerContext) => Promise<unknown>;
  const wrapped = Object.entries(methods as unknown as Record<string, Method>).map(([name, method]) => [
    name,
    async (request: unknown, context: HandlerContext) => {
      const call = context.values.get(callKey);
      if (call !== undefined) call.judged = true;
      try {
        return await metrics.timed(context.method.name, (waited) => {
          if (call !== undefined) call.waited = waited;
          return load.during(() => method(request, context));
        });
      } catch (error) {
        const wire = toWireError(whyGone(error, context), context.method.name, log);
        if (call !== undefined) call.refused = wire.code;
        throw wire;
      }
    },
  ]);
  return Object.fromEntries(wrapped) as Methods;
}

/** A call whose deadline is over is gone, as one whose caller hung up is: connect-es tells the two apart. */
function whyGone(error: unknown, { signal }: HandlerContext): unknown {
  const isGone = error instanceof BusError && error.refusal.reason === "CANCELED";
  return isGone && signal.reason instanceof ConnectError ? fromFramework(signal.reason) : error;
}

function principalOf(context: HandlerContext): Principal {
  const principal = context.values.get(callKey)?.principal;
  if (principal === undefined) throw new Error("a call was not admitted");
  return principal;
}

function callerOf(context: HandlerContext): Caller {
  const { stillAdmitted, waited } = context.values.get(callKey) ?? {};
  return {
    gone: context.signal,
    timeLeftMs: context.timeoutMs(),
    ...(stillAdmitted && { stillAdmitted }),
    ...(waited && { waited }),
  };
}

function traceOf(context: HandlerContext): string | undefined {
  return context.requestHeader.get("traceparent") ?? undefined;
}
