/**
 * The package's entry point, `agentbus`: a typed client of a bus, and what its calls take, give and fail with. Names of
 * other modules only.
 */
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
export { type BusAddress, connectBus, type MessageBusClient } from "./connect-bus.ts";
export { type Attempt, UnreachableError } from "./unreachable-error.ts";
