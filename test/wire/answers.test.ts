/** What single answers say besides their facts: pages that go on, leases asked for wrongly, notices of a broadcast. */
import { describe, expect, test } from "vitest";
import { startBus } from "../start-bus.ts";
import { connectError } from "./rpc-forms.ts";

type Bus = Awaited<ReturnType<typeof startBus>>;

async function refusal(bus: Bus, method: string, request: object) {
  const { status, body } = await bus.call(method, request);
  expect(status, JSON.stringify(body)).toBe(400);
  return connectError(JSON.stringify(body));
}

describe("a list that does not fit on one page", () => {
  const lists = [
    ["ListMessages", { agent: "jack", box: "BOX_INBOX" }, { agent: "jack", box: "BOX_DEAD" }, "messages"],
    ["ListAgents", {}, { query: "j" }, "agents"],
    ["GetReceipt", { messageId: "" }, undefined, "receipts"],
  ] as const;

  test.each(lists)("%s goes on with its token until all was told once, and with no other", async (...list) => {
    const [method, request, other, field] = list;
    const bus = await startBus();
    for (const agent of ["ann", "bob", "jack"]) await bus.ok("RegisterAgent", { agent });
    for (const subject of ["1", "2", "3"]) await bus.ok("Send", { from: "joe", to: "jack", subject });
    const { id: messageId } = await bus.ok("Broadcast", { from: "joe", subject: "4" });
    const asked = { ...request, ...("messageId" in request && { messageId }) };
    const whole = (await bus.ok(method, asked))[field];
    expect(whole.length).toBeGreaterThan(2);
    const told: unknown[] = [];
    let pageToken = "";
    do {
      const page = await bus.ok(method, { ...asked, pageSize: 1, pageToken });
      expect(page[field].length).toBeLessThan(2);
      told.push(...page[field]);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(told).toEqual(whole);

    const { nextPageToken } = await bus.ok(method, { ...asked, pageSize: 1 });
    const wrong = [
      ...(other === undefined ? [] : [{ ...other, pageToken: nextPageToken }]),
      { ...asked, pageToken: "nonsense" },
      { ...asked, pageToken: Buffer.from('{"a":1}').toString("base64url") },
      { ...asked, pageToken: Buffer.from("[1,2]").toString("base64url") },
    ];
    for (const each of wrong) {
      const { message } = await refusal(bus, method, each);
      expect(message).toBe(
        "INVALID_FIELD: pageToken is not from the last page of this same request; start again without it",
      );
    }
  });
});

describe("ModifyLease", () => {
  test("must say how long, and prolongs a lease whole or not at all", async () => {
    const bus = await startBus();
    for (const subject of ["1", "2"]) await bus.ok("Send", { from: "joe", to: "jack", subject });
    const { leaseId, messages } = await bus.ok("PullInbox", { agent: "jack", leaseSeconds: 60 });
    const [first, second] = messages.map(({ id }: { id: string }) => id);
    expect((await refusal(bus, "ModifyLease", { agent: "jack", leaseId })).message).toMatch(
      /^INVALID_FIELD: leaseSeconds is required/,
    );
    const part = { agent: "jack", leaseId, leaseSeconds: 60, messageIds: [first] };
    expect((await refusal(bus, "ModifyLease", part)).message).toMatch(/^INVALID_FIELD: messageIds must be empty/);

    expect(await bus.ok("ModifyLease", { ...part, leaseSeconds: 0 })).toMatchObject({ staleMessageIds: [] });
    const again = await bus.ok("PullInbox", { agent: "jack" });
    expect(again.messages.map(({ id }: { id: string }) => id)).toEqual([first]);
    const longer = await bus.ok("ModifyLease", { agent: "jack", leaseId, leaseSeconds: 600 });
    expect(longer.staleMessageIds).toEqual([first]);
    expect(Date.parse(longer.leaseExpireTime)).toBeGreaterThan(Date.now() + 500_000);
    expect(await bus.ok("Ack", { agent: "jack", leaseId, messageIds: [second] })).toMatchObject({ ackedCount: 1 });
  });
});

describe("the notice", () => {
  test("of a broadcast says when it reached nobody, and whose inbox was full", async () => {
    const bus = await startBus({ maxInbox: "1" });
    expect(await bus.ok("Broadcast", { from: "joe", subject: "s" })).toMatchObject({
      recipientCount: 0,
      notice: "reached nobody: no other agent is registered",
    });
    const names = Array.from({ length: 22 }, (_, n) => `agent-${String(n).padStart(2, "0")}`);
    for (const agent of names) await bus.ok("RegisterAgent", { agent });
    for (const to of names.slice(0, 21)) await bus.ok("Send", { from: `to-${to}`, to });
    const request = { from: "joe", subject: "s", requestId: "r" };
    const { recipientCount, notice } = await bus.ok("Broadcast", request);
    expect(recipientCount).toBe(22 - 21 + 21); // everybody who sent is registered too
    expect(notice).toMatch(
      /^did not fit into the full inboxes of (agent-\d\d, ){19}agent-19 and 1 more: there it is a dead letter$/,
    );
    expect(await bus.ok("Broadcast", request)).toMatchObject({ deduplicated: true, notice: "" });
  });

  test("of a Send to an unknown name offers the nearest known ones", async () => {
    const bus = await startBus();
    for (const agent of ["jack", "jill", "manager"]) await bus.ok("RegisterAgent", { agent });
    const short = await bus.ok("Send", { from: "joe", to: "jeo" });
    expect(short.notice).toMatch(/ Did you mean joe\?$/); // two letters that changed places
    const { notice, recipientKnown } = await bus.ok("Send", { from: "joe", to: "jakc" });
    expect((await bus.ok("Send", { from: "d", to: "a" })).notice).not.toMatch(/mean/); // no letter in common
    expect(recipientKnown).toBe(false);
    expect(notice).toBe('nobody registered "jakc" yet: the mail waits until that agent pulls. Did you mean jack?');
  });

  test("of a batch to very many unknown names offers known ones for the first sixteen, and holds nobody up", async () => {
    const bus = await startBus();
    await bus.ok("RegisterAgent", { agent: "agent-x" });
    const requests = Array.from({ length: 40 }, (_, n) => ({
      from: "joe",
      to: `agent-${String.fromCharCode(97 + (n % 20))}`,
    }));
    const { results } = await bus.ok("SendBatch", { requests });
    const offered = results.map(({ response }: any) => response.notice.includes("Did you mean agent-x?"));
    const first = Array.from({ length: 20 }, (_, n) => n < 16);
    expect(offered).toEqual([...first, ...first]);
  });
});
