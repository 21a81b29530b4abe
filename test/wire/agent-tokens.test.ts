/**
 * An agent's token at its edges: names that look alike, batches of several, receipts, and the plain-HTTP pair.
 */
import { describe, expect, test } from "vitest";
import { startBus } from "../start-bus.ts";
import { everyRow, tokenOf } from "./bus-tokens.ts";
import { overHttp1, overHttp2 } from "./http-calls.ts";
import { connectError } from "./rpc-forms.ts";

const UNKNOWN_ID = "01a20456-542c-74ab-966b-1e5638b78735";

describe("an agent's token", () => {
  test("is not that of a name which only looks alike", async () => {
    const bus = await startBus({ token: "shared" });
    const jack = tokenOf(bus, "jack");
    // The last k is the Kelvin sign, which lower case turns into a k.
    for (const agent of ["jac\u212a", "jack ", "jack\u00ad", "jac", "jack.", "ALL", "bus", ""]) {
      expect((await bus.call("PullInbox", { agent }, jack)).body.message, agent).toMatch(/^NOT_YOUR_INBOX: /);
      const sent = await bus.call("Send", { from: agent, to: "joe" }, jack);
      expect([sent.status, sent.body.message], agent).toEqual([403, expect.stringMatching(/^NOT_YOUR_NAME: /)]);
    }
  });

  test("stores its own items of a batch and none of another's", async () => {
    const bus = await startBus({ token: "shared" });
    const requests = ["jack", "joe", "JACK"].map((from) => ({ from, to: "jill", body: `by ${from}` }));
    const { status, body } = await bus.call("SendBatch", { requests }, tokenOf(bus, "jack"));
    expect(status).toBe(200);
    expect(body.results.map(({ error }: { error?: object }) => error)).toEqual([
      undefined,
      expect.objectContaining({ code: "permission_denied", reason: "NOT_YOUR_NAME", field: "" }),
      undefined,
    ]);
    const { messages } = await bus.ok("PullInbox", { agent: "jill" });
    expect(messages.map((message: { body: string }) => message.body)).toEqual(["by jack", "by JACK"]);
    expect((await bus.ok("ListAgents", { query: "joe" })).agents).toEqual([]);
  });

  test("sees the message and the receipt of what it sent or was sent, and of nothing else", async () => {
    const bus = await startBus({ token: "shared" });
    const { id: messageId } = await bus.ok("Send", { from: "joe", to: "jack", body: "ours" });
    const foreign = tokenOf(bus, "jim");
    for (const agent of ["joe", "jack"]) {
      const own = tokenOf(bus, agent);
      expect((await bus.call("GetReceipt", { messageId }, own)).body).toMatchObject({ recipientCount: 1 });
      expect((await bus.call("GetMessage", { agent, messageId }, own)).body).toMatchObject({
        message: { body: "ours" },
      });
    }
    for (const [method, request] of [["GetReceipt", {}] as const, ["GetMessage", { agent: "jim" }] as const]) {
      const answers = await Promise.all(
        [messageId, UNKNOWN_ID].map(async (id) => {
          const { status, body } = await bus.call(method, { ...request, messageId: id }, foreign);
          return [status, body.code, body.message.replace(id, "ID")];
        }),
      );
      expect(answers[0], method).toEqual([404, "not_found", expect.stringMatching(/^UNKNOWN_MESSAGE: /)]);
      expect(answers[1], method).toEqual(answers[0]);
    }
  });

  test("is bound to its name at the plain-HTTP pair too, and a refusal there changes nothing", async () => {
    const bus = await startBus({ token: "shared" });
    await bus.ok("Send", { from: "jill", to: "jack", body: "to be kept" });
    const headers = tokenOf(bus, "mallory");
    const before = everyRow(bus);
    for (const over of [overHttp1(bus.port), overHttp2(bus.port)]) {
      const told = async (name: string, call: { path: string; method: string; body?: string }) => {
        const reply = await over({ ...call, headers });
        return [reply.status, connectError(reply.body.toString()).message.replaceAll(name, "NAME")];
      };
      for (const query of ["", "?mark_read=true", "?wait_seconds=20", "?mark_read=true&request_id=r-1"]) {
        const [jack, nobody] = await Promise.all(
          ["jack", "nobody"].map((name) => told(name, { path: `/api/inbox/${name}${query}`, method: "GET" })),
        );
        expect(jack, query).toEqual([403, expect.stringMatching(/^NOT_YOUR_INBOX: /)]);
        expect(nobody, query).toEqual(jack);
      }
      const send = (from: string) => ({ path: "/api/send", method: "POST", body: JSON.stringify({ from, to: "joe" }) });
      const jack = await told("jack", send("jack"));
      expect(jack).toEqual([403, expect.stringMatching(/^NOT_YOUR_NAME: /)]);
      expect(await told("nobody", send("nobody"))).toEqual(jack);
    }
    expect(everyRow(bus)).toEqual(before);
    const own = await overHttp1(bus.port)({ path: "/api/inbox/Mallory?mark_read=true", method: "GET", headers });
    expect([own.status, own.body.toString()]).toEqual([200, '{"messages":[]}']);
    const body = JSON.stringify({ from: "MALLORY", to: "joe" });
    expect((await overHttp1(bus.port)({ path: "/api/send", headers, body })).status).toBe(200);
  });
});
