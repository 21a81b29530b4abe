/** `agentbus reply`: where an answer goes, under which subject, and what becomes of the message. */

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { startBus, temporaryFolder } from "../start-bus.ts";
import { cliOf, DEAD_URL, documentOf, mail, newName, sharedBus, unread } from "./run-cli.ts";

const shared = sharedBus();

describe("agentbus reply", () => {
  test("goes to the sender under Re:, names what it answers, and leaves that unread", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const id = await mail(bus, name, "Review it", "PR 13");
    const replied = await cliOf(bus, name)(["reply", id, "Done."]);
    expect(replied).toMatchObject({ code: 0, stderr: "" });
    const { message } = await bus.ok("GetMessage", { agent: "joe", messageId: replied.stdout.trim() });
    expect(message).toMatchObject({ from: name, to: "joe", subject: "Re: PR 13", body: "Done.", inReplyTo: id });
    expect(await unread(bus, name)).toEqual([id]);
  });

  test("acknowledges the message with --ack, and says so where it can't", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const id = await mail(bus, name, "x");
    const jack = cliOf(bus, name);
    expect(await jack(["reply", id, "Done.", "--ack"])).toMatchObject({ code: 0, stderr: "" });
    expect(await unread(bus, name)).toEqual([]);
    const own = (await jack(["history", "--sent", "--json"])).stdout;
    const sentId = JSON.parse(own).messages[0].id;
    const again = await jack(["reply", sentId, "One more thing.", "--ack"]);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining(`${sentId} is not acknowledged`) });
    expect(await unread(bus, "joe")).toContain(again.stdout.trim());
  });

  test("does not double a Re:, cuts a subject that is full, and takes another one with -s", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const subjectOf = async (subject: string, ...more: string[]) => {
      const id = await mail(bus, name, "x", subject);
      const printed = documentOf(await cliOf(bus, name)(["reply", id, "y", "--json", ...more]));
      return (await bus.ok("GetMessage", { agent: "joe", messageId: printed.id })).message.subject;
    };
    expect(await subjectOf("RE: PR 13")).toBe("RE: PR 13");
    expect(await subjectOf("ä".repeat(512))).toBe(`Re: ${"ä".repeat(510)}`);
    expect(await subjectOf("PR 13", "-s", "Other")).toBe("Other");
  });

  test("stores a repeat with the same --request-id once", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const id = await mail(bus, name, "x");
    const words = ["reply", id, "y", "--request-id", newName("r")];
    const first = await cliOf(bus, name)(words);
    const second = await cliOf(bus, name)(words);
    expect(second).toMatchObject({ code: 0, stdout: first.stdout, stderr: expect.stringContaining("already stored") });
  });

  test("refuses to answer a bounce and says what to do instead", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const id = await mail(bus, name, "x");
    await bus.ok("RegisterAgent", { agent: name });
    await bus.ok("RemoveAgent", { agent: name, force: true });
    const { messages } = await bus.ok("ListMessages", { agent: "joe", inReplyTo: id });
    expect(messages).toMatchObject([{ from: "bus" }]);
    const refused = await cliOf(bus, "joe")(["reply", messages[0].id, "Why?", "--json"]);
    expect(refused.code).toBe(1);
    expect(documentOf(refused)).toMatchObject({ code: "failed_precondition", reason: "LOCAL" });
    expect(refused.stderr).toContain(`agentbus receipt ${id}`);
  });

  test("to one's own message goes where that went, but not to everybody once more", async () => {
    const bus = await startBus();
    await bus.ok("RegisterAgent", { agent: "ann" });
    const joe = cliOf(bus, "joe");
    const own = await mail(bus, "jack", "x");
    const more = await joe(["reply", own, "And tests, please."]);
    expect(await unread(bus, "jack")).toEqual([own, more.stdout.trim()]);
    const toAll = (await joe(["broadcast", "-s", "News", "x"])).stdout.trim();
    const refused = await joe(["reply", toAll, "y"]);
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`agentbus broadcast --reply-to ${toAll}`),
    });
    expect(await unread(bus, "ann")).toEqual([toAll]);
  });

  test("is kept in the outbox while the bus is away, if it is said to whom", async () => {
    const env = { AGENTBUS_OUTBOX: join(temporaryFolder(), "outbox.db") };
    const name = newName("jack");
    const words = ["reply", "some-id", "Done.", "--to", name, "-s", "Re: it", "--ack"];
    const kept = await cliOf({ url: DEAD_URL }, "joe")(words, { env });
    expect(kept).toMatchObject({ code: 4, stdout: "", stderr: expect.stringContaining("some-id is not acknowledged") });
  });

  test("says how to send without looking up, and does so with --to", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const away = await cliOf({ url: DEAD_URL }, name)(["reply", "some-id", "y"]);
    expect(away).toMatchObject({ code: 5, stderr: expect.stringContaining("--to NAME and -s SUBJECT") });
    const blind = ["reply", "some-id", "y", "--to", name];
    expect(await cliOf(bus, "joe")(blind)).toMatchObject({ code: 2, stderr: expect.stringContaining("-s") });
    const sent = documentOf(await cliOf(bus, "joe")([...blind, "-s", "Re: it", "--json"]));
    const { message } = await bus.ok("GetMessage", { agent: name, messageId: sent.id });
    expect(message).toMatchObject({ to: name, subject: "Re: it", inReplyTo: "some-id" });
  });

  test("of a message that is not yours ends with 1", async () => {
    const [bus, name] = [shared(), newName("jack")];
    const foreign = await mail(bus, newName("kim"), "x");
    expect(await cliOf(bus, name)(["reply", foreign, "y"])).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/^UNKNOWN_MESSAGE: /),
    });
  });
});
