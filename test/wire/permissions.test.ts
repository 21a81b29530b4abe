/**
 * What a token may do once it is let in, for every method of the service: an agent's token speaks for that agent alone, and
 * a refusal tells nothing and changes nothing.
 */
import { type DescMethodUnary, fromJson, type JsonValue, type MessageShape } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { MessageBus, type SendBatchResponse } from "#gen/agentbus/v1/message_bus_pb.js";
import { startBus, type TestBus } from "../start-bus.ts";
import { everyRow, tokenOf } from "./bus-tokens.ts";
import { clientsInEveryProtocol, type MessageBusClient } from "./every-protocol.ts";

type Method = keyof typeof MessageBus.method;

const UNKNOWN_ID = "01a20456-542c-74ab-966b-1e5638b78735";

/** On whose behalf something is asked, and about which message. */
interface Whom {
  readonly agent: string;
  readonly messageId: string;
  readonly leaseId: string;
}

/** A request of each method on behalf of somebody, and what an agent's token is told when that is another. */
const decisions: Record<Method, readonly [request: (whom: Whom) => JsonValue, others: string]> = {
  send: [({ agent }) => ({ from: agent, to: "jill", body: "x" }), "NOT_YOUR_NAME"],
  sendBatch: [({ agent }) => ({ requests: [{ from: agent, to: "jill", body: "x" }] }), "NOT_YOUR_NAME"],
  broadcast: [({ agent }) => ({ from: agent, body: "x" }), "NOT_YOUR_NAME"],
  registerAgent: [({ agent }) => ({ agent, description: "x" }), "NOT_YOUR_NAME"],
  pullInbox: [({ agent }) => ({ agent, leaseSeconds: 60 }), "NOT_YOUR_INBOX"],
  ack: [({ agent, messageId }) => ({ agent, messageIds: [messageId] }), "NOT_YOUR_INBOX"],
  modifyLease: [({ agent, leaseId }) => ({ agent, leaseId, leaseSeconds: 0 }), "NOT_YOUR_INBOX"],
  listMessages: [({ agent }) => ({ agent }), "NOT_YOUR_INBOX"],
  getMessage: [({ agent, messageId }) => ({ agent, messageId }), "NOT_YOUR_INBOX"],
  redriveDeadLetters: [({ agent }) => ({ agent }), "NOT_YOUR_INBOX"],
  // It names a message and no agent: what one may not see is not there.
  getReceipt: [({ messageId }) => ({ messageId }), "UNKNOWN_MESSAGE"],
  listAgents: [() => ({}), "allowed"],
  removeAgent: [({ agent }) => ({ agent, force: true }), "ADMIN_ONLY"],
};

const methods = Object.keys(decisions) as Method[];

/** "allowed", or the refusal's whole message. */
async function outcomeOf(client: MessageBusClient, method: Method, request: JsonValue): Promise<string> {
  const { input } = MessageBus.method[method] as DescMethodUnary;
  const call = client[method] as (request: MessageShape<typeof input>) => Promise<unknown>;
  const outcome = await call(fromJson(input, request)).catch((error: unknown) => error);
  if (outcome instanceof ConnectError) return outcome.rawMessage;
  if (outcome instanceof Error) throw outcome;
  const [first] = method === "sendBatch" ? (outcome as SendBatchResponse).results : [];
  return first?.outcome.case === "error" ? first.outcome.value.message : "allowed";
}

const reasonIn = (outcome: string) => outcome.split(":")[0];

/** Mail from jill in the inboxes of joe and jack, all of it leased and some of it dead. */
async function busWithMail(): Promise<{ bus: TestBus; joe: Whom; jack: Whom }> {
  const bus = await startBus({ token: "shared" });
  const whom = async (agent: string): Promise<Whom> => {
    await bus.ok("RegisterAgent", { agent });
    const { id: messageId } = await bus.ok("Send", { from: "jill", to: agent, body: "to be kept" });
    const { leaseId } = await bus.ok("PullInbox", { agent, leaseSeconds: 3600 });
    await bus.ok("Send", { from: "jill", to: agent, body: "unread" });
    return { agent, messageId, leaseId };
  };
  return { bus, joe: await whom("joe"), jack: await whom("jack") };
}

describe("a method", () => {
  test("has a decision here about agents' tokens, each of the service", () => {
    expect(methods.toSorted()).toEqual(Object.keys(MessageBus.method).toSorted());
  });

  test("is refused to an agent's token on behalf of another, told alike whether that other is there, and changes nothing", async () => {
    const { bus, jack } = await busWithMail();
    const nobody = { agent: "nobody", messageId: UNKNOWN_ID, leaseId: "none" };
    const invalid = { agent: "no name", messageId: "", leaseId: "" };
    const mallory = tokenOf(bus, "mallory");
    const before = everyRow(bus);
    for (const [protocol, client] of Object.entries(clientsInEveryProtocol(bus, mallory))) {
      for (const method of methods) {
        const [request, expected] = decisions[method];
        if (expected === "allowed") continue;
        const toldOf = async (whom: Whom) => {
          const told = await outcomeOf(client, method, request(whom));
          return told.replaceAll(whom.agent, "NAME").replaceAll(whom.messageId || "?", "ID");
        };
        const told = await toldOf(jack);
        expect(reasonIn(told), `${method} in ${protocol}`).toBe(expected);
        expect(await toldOf(nobody), `${method} in ${protocol}`).toBe(told);
        expect(await toldOf({ ...jack, messageId: UNKNOWN_ID }), `${method} in ${protocol}`).toBe(told);
        // A receipt's id is a field, and without one there is nothing that could be permitted.
        if (method !== "getReceipt") expect(await toldOf(invalid), `${method} in ${protocol}`).toBe(told);
      }
    }
    expect(everyRow(bus)).toEqual(before);
  });

  test("serves an agent's token on its own behalf, however its name is written, but for what is an admin's", async () => {
    const { bus, joe } = await busWithMail();
    for (const [protocol, client] of Object.entries(clientsInEveryProtocol(bus, tokenOf(bus, "joe")))) {
      for (const method of methods) {
        const [request, others] = decisions[method];
        const expected = others === "ADMIN_ONLY" ? others : "allowed";
        for (const agent of ["joe", "JOE", "Joe"]) {
          const outcome = await outcomeOf(client, method, request({ ...joe, agent }));
          expect(reasonIn(outcome), `${method} as ${agent} in ${protocol}`).toBe(expected);
        }
      }
    }
    const { agents } = await bus.ok("ListAgents", {});
    expect(agents.map(({ name }: { name: string }) => name)).toEqual(["jack", "jill", "joe"]);
  });

  test("serves the shared token and an admin's on anyone's behalf", async () => {
    const { bus, ...whoms } = await busWithMail();
    for (const headers of [{ "x-bus-token": "shared" }, tokenOf(bus, undefined)]) {
      for (const [protocol, client] of Object.entries(clientsInEveryProtocol(bus, headers))) {
        for (const whom of Object.values(whoms)) {
          for (const method of methods) {
            const outcome = await outcomeOf(client, method, decisions[method][0](whom));
            expect(outcome, `${method} as ${whom.agent} in ${protocol}`).toBe("allowed");
          }
        }
      }
    }
  });
});
