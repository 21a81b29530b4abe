/** The package's entry for TypeScript programs: `import { BusClient } from "agentbus"`. */
export { timestampDate } from "@bufbuild/protobuf/wkt";
export type { Message } from "#gen/agentbus/v1/message_pb.js";
export {
  BusClient,
  type BusClientOptions,
  type OutgoingBroadcast,
  type OutgoingMessage,
  type Reply,
  type SendOptions,
  type Sent,
  type SentMessage,
} from "./bus-client.ts";
export { BusRefusal, type RefusedField } from "./bus-refusal.ts";
export type { MessageBusClient } from "./connect-bus.ts";
export type { LeasedMessage } from "./inbox.ts";
export type { InboxOptions, Trouble } from "./inbox-reader.ts";
export { isBounce } from "./is-bounce.ts";
export { LeaseLostError } from "./leased-delivery.ts";
export { type Attempt, UnreachableError } from "./unreachable-error.ts";
export type { Handler, Job, WorkOptions, WorkSummary } from "./work.ts";
