/**
 * Says which calls may be made twice, and makes those so that only need a request_id of their own. It knows the methods
 * of MessageBus, and neither when a call is repeated nor how it is sent.
 */
import { create, type DescMessage, type DescMethodUnary, isMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { v7 as uuidv7 } from "uuid";
import {
  BroadcastRequestSchema,
  type PullInboxRequest,
  PullInboxRequestSchema,
  SendBatchRequestSchema,
  SendRequestSchema,
} from "#gen/agentbus/v1/message_bus_pb.js";

/** The request as it is sent, however often: a copy with request_ids of its own where the caller gave none. */
export function repeatableRequest<I extends DescMessage>(
  method: DescMethodUnary<I>,
  input: MessageInitShape<I>,
): MessageInitShape<I> {
  const request = create(method.input, { ...input });
  if (isMessage(request, SendRequestSchema) || isMessage(request, BroadcastRequestSchema)) {
    request.requestId ??= uuidv7();
  } else if (isMessage(request, SendBatchRequestSchema)) {
    request.requests = request.requests.map((one) => ({ ...one, requestId: one.requestId ?? uuidv7() }));
  } else if (isMessage(request, PullInboxRequestSchema) && takes(request)) {
    request.requestId ??= uuidv7();
  }
  return request as MessageInitShape<I>;
}

/** A repeat does no more than the first call did, even if that one was carried out. */
export function isRepeatable<I extends DescMessage>(method: DescMethodUnary<I>, input: MessageInitShape<I>): boolean {
  if (method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN) return true;
  const request = create(method.input, input);
  if (isMessage(request, SendRequestSchema) || isMessage(request, BroadcastRequestSchema)) {
    return request.requestId !== undefined;
  }
  if (isMessage(request, SendBatchRequestSchema)) {
    return request.requests.every(({ requestId }) => requestId !== undefined);
  }
  if (isMessage(request, PullInboxRequestSchema)) return !takes(request) || request.requestId !== undefined;
  return false;
}

/** How long a call may rightly stay without an answer because it was asked to wait. */
export function askedToWaitMs(request: unknown): number {
  return isMessage(request, PullInboxRequestSchema) ? request.waitSeconds * 1000 : 0;
}

/** Not a mere look. */
function takes({ leaseSeconds, markRead }: PullInboxRequest): boolean {
  return leaseSeconds > 0 || markRead;
}
