/** Good requests of every method, in JSON and as protobuf bytes: what the fuzz spoils. */
import { create, fromJson, toBinary } from "@bufbuild/protobuf";
import { MessageBus } from "#gen/agentbus/v1/message_bus_pb.js";
import type { Chance } from "../../wire/seeded-chance.ts";

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export interface GoodRequest {
  readonly method: string;
  readonly json: { readonly [name: string]: Json };
  readonly binary: Uint8Array;
  /** May be asked with GET. */
  readonly sideEffects: boolean;
}

const ID = "01a20456-542c-74ab-966b-1e5638b78735";
const TIME = "2026-01-01T00:00:00Z";
const message = { from: "fuzz", to: "fuzzy", subject: "s", body: "bödy 日本 🚌", requestId: "r-1", ttlSeconds: 60 };

const GOOD: Readonly<Record<string, readonly { [name: string]: Json }[]>> = {
  Send: [
    message,
    { ...message, inReplyTo: ID, traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` },
    { from: "fuzz", to: "other" },
  ],
  SendBatch: [{ requests: [message, { from: "fuzz", to: "other", body: "x" }, { from: "fuzz", to: "ALL" }] }],
  Broadcast: [{ from: "crier", subject: "news", body: "for all", includeSender: true, requestId: "b-1" }],
  PullInbox: [
    { agent: "fuzzy", maxMessages: 3, maxBodyBytes: 2, leaseSeconds: 1, requestId: "p-1" },
    { agent: "fuzzy", markRead: true, maxBytes: 100, requestId: "p-2" },
    { agent: "other", markRead: true, waitSeconds: 0 },
  ],
  Ack: [{ agent: "fuzzy", messageIds: [ID, "x"], leaseId: ID }],
  ModifyLease: [{ agent: "fuzzy", leaseId: ID, leaseSeconds: 0, messageIds: [ID] }],
  RegisterAgent: [{ agent: "fuzz", description: "who spoils" }],
  ListAgents: [{ pageSize: 2, pageToken: "", query: "f", includeUnregistered: true }],
  RemoveAgent: [{ agent: "other", force: true }],
  GetMessage: [{ agent: "fuzz", messageId: ID }],
  GetReceipt: [{ messageId: ID, pageSize: 1, pageToken: "" }],
  ListMessages: [
    {
      agent: "fuzzy",
      box: "BOX_INBOX",
      peer: "fuzz",
      text: "bödy",
      sinceTime: TIME,
      untilTime: TIME,
      pageSize: 2,
      maxBodyBytes: 3,
    },
    { agent: "fuzz", box: "BOX_SENT", inReplyTo: ID, pageToken: "" },
    { agent: "fuzzy", box: "BOX_DEAD" },
  ],
  RedriveDeadLetters: [{ agent: "fuzzy", messageIds: [ID] }],
};

export const goodRequests: readonly GoodRequest[] = MessageBus.methods.flatMap(({ name, input, idempotency }) => {
  const requests = GOOD[name];
  if (requests === undefined) throw new Error(`the fuzz has no request of ${name}`);
  return requests.map((json) => ({
    method: name,
    json,
    binary: toBinary(input, create(input, fromJson(input, json))),
    sideEffects: idempotency !== 1,
  }));
});

/** Broadcasts cost more than all the rest, by the number of agents that the fuzz brings forth. */
export function anyGood(chance: Chance): GoodRequest {
  const good = chance.pick(goodRequests);
  return good.method === "Broadcast" && chance.integer(4) > 0 ? anyGood(chance) : good;
}
