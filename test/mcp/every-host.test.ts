/** Every kind of host gets the same tools and can do an agent's day's work with them. */
import { describe, expect, test } from "vitest";
import { newName, sharedBus, unread } from "../cli/run-cli.ts";
import { hosts } from "./hosts.ts";

const bus = sharedBus();

describe.each(Object.entries(hosts))("a host that speaks %s", (kind, open) => {
  test("negotiates that version, and is told who it is and how the bus is used", async () => {
    const host = await open(bus(), { agent: "jack" });
    expect(host.version).toBe(kind.slice(0, 10));
    expect(host.instructions).toContain('You are the agent "jack"');
  });

  test("sends, reads, replies and acks", async () => {
    const [joe, jack] = [newName("joe"), newName("jack")];
    const [sender, reader] = [await open(bus(), { agent: joe }), await open(bus(), { agent: jack })];
    const first = await sender.call("send_message", { to: jack, subject: "Review", body: "PR 12, please" });
    const second = await sender.call("send_message", { to: jack, subject: "Review", body: "And PR 13" });
    expect(first.text).toMatch(
      new RegExp(`^Sent to ${jack}, id ${first.data.id}\\. Note: nobody registered "${jack}"`),
    );

    const inbox = await reader.call("check_inbox");
    expect(inbox.data.messages).toEqual([
      { id: first.data.id, from: joe, to: jack, subject: "Review", body: "PR 12, please", sent: expect.any(String) },
      { id: second.data.id, from: joe, to: jack, subject: "Review", body: "And PR 13", sent: expect.any(String) },
    ]);
    for (const { id, body } of inbox.data.messages) {
      expect(inbox.text).toMatch(
        new RegExp(`^--- ${id} from ${joe} to ${jack}, .*, subject "Review"\n${body}\n--- end of ${id}$`, "m"),
      );
    }

    const answer = await reader.call("reply", { message_id: first.data.id, body: "Done." });
    expect(answer.data).toMatchObject({ status: "sent", acked: true });
    expect(await unread(bus(), jack)).toEqual([second.data.id]);
    const acked = await reader.call("ack_messages", { message_ids: [second.data.id, "no-such-id"] });
    expect(acked.data).toEqual({ acked_count: 1, unknown_ids: ["no-such-id"], stale_ids: [] });
    expect((await reader.call("check_inbox")).data).toEqual({ messages: [], more_waiting: false });

    const answered = await sender.call("check_inbox");
    expect(answered.data.messages).toMatchObject([
      { id: answer.data.id, from: jack, subject: "Re: Review", body: "Done.", in_reply_to: first.data.id },
    ]);
    const receipt = await sender.call("get_receipt", { message_id: first.data.id });
    expect(receipt.data.receipts).toMatchObject([{ to: jack, state: "READ", replies: [answer.data.id] }]);
  });
});

test("every host is given the same tools", async () => {
  const lists = [];
  for (const open of Object.values(hosts)) lists.push(await (await open(bus(), { agent: "jack" })).listTools());
  expect(lists[0]?.map(({ name }) => name)).toEqual([
    "check_inbox",
    "send_message",
    "reply",
    "ack_messages",
    "broadcast",
    "list_agents",
    "get_receipt",
  ]);
  for (const list of lists) expect(list).toEqual(lists[0]);
});
