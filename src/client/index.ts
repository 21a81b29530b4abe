/**
 * The package's entry point, `agentbus`: a client of a bus, and what its calls take, give and fail with. Names of other
 * modules only.
 */
export { timestampDate } from "@bufbuild/protobuf/wkt";
export { Code, ConnectError } from "@connectrpc/connect";
export type { Agent } from "#gen/agentbus/v1/agent_pb.js";
export {
  Box,
  type ListMessagesRequest,
  type PullInboxRequest,
  type PullInboxResponse,
  type Receipt,
  type SendRequest,
  type SendResponse,
} from "#gen/agentbus/v1/message_bus_pb.js";
export { DeliveryState, type Message } from "#gen/agentbus/v1/message_pb.js";
export { SettingError } from "../config.ts";
export {
  BusClient,
  type OutgoingBroadcast,
  type OutgoingMessage,
  type QueuedMessage,
  type Reply,
  type SendOptions,
  type Sent,
  type SentMessage,
} from "./bus-client.ts";
export { BusRefusal, type RefusedField } from "./bus-refusal.ts";
export type { BusClientOptions } from "./client-options.ts";
export { type BusAddress, connectBus, type MessageBusClient } from "./connect-bus.ts";
export type { LeasedMessage } from "./inbox.ts";
export type { InboxOptions, Trouble } from "./inbox-reader.ts";
export { isBounce } from "./is-bounce.ts";
export { LeaseLostError } from "./leased-delivery.ts";
export { type Attempt, UnreachableError } from "./unreachable-error.ts";
export type { Handler, Job, WorkOptions, WorkSummary } from "./work.ts";
