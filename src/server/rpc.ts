/**
 * The methods of agentbus.v1.MessageBus: takes a request apart, asks the bus, puts the answer together. It knows no
 * rule of the bus and no protocol.
 */

import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { MessageBus } from "#gen/agentbus/v1/message_bus_pb.js";
import type { Bus } from "../bus.ts";
import type { Caller, PullAnswer } from "../requests.ts";
import { toWireError } from "./error-answer.ts";
import type { Logger } from "./log.ts";
import { callKey } from "./rpc-door.ts";
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

export function messageBusMethods(bus: Bus, log: Logger): Methods {
  const methods: Methods = {
    async send(request, context) {
      return wireSent(await bus.send(traced(request, context)));
    },
    async sendBatch({ requests }, context) {
      const outcomes = await bus.sendBatch(requests.map((request) => traced(request, context)));
      return { results: outcomes.map(wireBatchResult) };
    },
    async broadcast(request, context) {
      return wireBroadcast(await bus.broadcast(traced(request, context)));
    },
    async pullInbox(request, context) {
      const pulled = await bus.pullInbox(request, callerOf(context));
      if (pulled.lease !== undefined) giveBackIfLost(bus, request.agent, pulled, context, log);
      return wirePulled(pulled);
    },
    async ack(request) {
      const { ackedCount, unknown, stale } = await bus.ack(request);
      return { ackedCount, unknownMessageIds: [...unknown], staleMessageIds: [...stale] };
    },
    async modifyLease(request) {
      const { expireAt, stale } = await bus.modifyLease(request);
      const leaseExpireTime = wireTime(expireAt);
      return { staleMessageIds: [...stale], ...(leaseExpireTime && { leaseExpireTime }) };
    },
    async registerAgent(request) {
      return { agent: wireAgent(await bus.registerAgent(request)) };
    },
    async removeAgent(request) {
      return { deadCount: await bus.removeAgent(request) };
    },
    async listAgents(request) {
      const { agents, nextPageToken } = await bus.listAgents(request);
      return { agents: agents.map(wireAgent), nextPageToken };
    },
    async redriveDeadLetters(request) {
      const { redrivenCount, unknown } = await bus.redriveDeadLetters(request);
      return { redrivenCount, unknownMessageIds: [...unknown] };
    },
    async listMessages({ sinceTime, untilTime, box, ...request }) {
      const times = { since: sinceTime && timestampMs(sinceTime), until: untilTime && timestampMs(untilTime) };
      const { messages, nextPageToken } = await bus.listMessages({ ...request, ...times, box: domainBox(box) });
      return { messages: messages.map(wireView), nextPageToken };
    },
    async getMessage(request) {
      return { message: wireView(await bus.getMessage(request)) };
    },
    async getReceipt(request) {
      const { receipts, ...rest } = await bus.getReceipt(request);
      return { ...rest, receipts: receipts.map(wireReceipt) };
    },
  };
  return guarded(methods, log);
}

/** Every method, with refusals and defects in their wire form. */
function guarded(methods: Methods, log: Logger): Methods {
  type Method = (request: unknown, context: HandlerContext) => Promise<unknown>;
  const wrapped = Object.entries(methods as unknown as Record<string, Method>).map(([name, method]) => [
    name,
    async (request: unknown, context: HandlerContext) => {
      const call = context.values.get(callKey);
      if (call !== undefined) call.judged = true;
      try {
        return await method(request, context);
      } catch (error) {
        throw toWireError(error, context.method.name, log);
      }
    },
  ]);
  return Object.fromEntries(wrapped) as Methods;
}

function callerOf(context: HandlerContext): Caller {
  return { gone: context.signal, timeLeftMs: context.timeoutMs() };
}

/** An answer that could not be written whole costs no attempt: what it leased goes back at once. */
function giveBackIfLost(bus: Bus, agent: string, { lease }: PullAnswer, context: HandlerContext, log: Logger): void {
  const answered = context.values.get(callKey)?.answered;
  if (lease === undefined || answered === undefined) return;
  answered
    .then((whole) =>
      whole ? undefined : bus.modifyLease({ agent, leaseId: lease.id, leaseSeconds: 0, messageIds: [] }),
    )
    .catch((err: unknown) =>
      log.warn({ err, agent }, "a lost answer's lease could not be given back; it will run out"),
    );
}

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** A trace goes on through the message: its own traceparent, or else the header's if that is one (W3C Trace Context). */
function traced<R extends { traceparent?: string | undefined }>(request: R, context: HandlerContext): R {
  if (request.traceparent !== undefined) return request;
  const header = context.requestHeader.get("traceparent");
  return header !== null && TRACEPARENT.test(header) ? { ...request, traceparent: header } : request;
}
