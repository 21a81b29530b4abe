/** `agentbus ask`: what it waits for, what it leaves alone, and how it ends without an answer. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { spawnBus, startBus, type TestBus, temporaryFolder } from "../start-bus.ts";
import { cli, cliOf, DEAD_URL, documentOf, mail, newName, sharedBus, startCli, unread, until } from "./run-cli.ts";

const shared = sharedBus();
/** An answer is printed within a second; a busy machine needs some time to run a process, too. */
const PROMPT_MS = 3000;

/** Starts to ask and waits until the question lies in that inbox. */
async function asking(bus: TestBus, from: string, to: string, ...more: string[]) {
  const env = { AGENTBUS_URL: bus.url, AGENTBUS_AGENT: from };
  const running = startCli(["ask", to, "Which port?", "--timeout", "1m", ...more], { env });
  await until("the question is there", async () => (await unread(bus, to)).length > 0);
  const [question = ""] = await unread(bus, to);
  return { running, question };
}

async function answer(bus: TestBus, from: string, to: string, question: string, body = "8091"): Promise<string> {
  return (await bus.ok("Send", { from, to, subject: "Re: Question", body, inReplyTo: question })).id;
}

describe("agentbus ask", () => {
  test("prints the answer soon after it came, and marks it as read", async () => {
    const [bus, joe, jack] = [shared(), newName("joe"), newName("jack")];
    const { running, question } = await asking(bus, joe, jack);
    const id = await answer(bus, jack, joe, question);
    const came = performance.now();
    const ended = await running.ended();
    expect(performance.now() - came).toBeLessThan(PROMPT_MS);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(
      new RegExp(`^From: ${jack}\n(.*\n)*In-Reply-To: ${question}\n\n8091\n--- end of ${id} ---\n$`),
    );
    expect(await unread(bus, joe)).toEqual([]);
  });

  test("leaves other mail unread, also what answers another question, and does not storm the bus for it", async () => {
    const bus = await spawnBus({ logLevel: "debug" });
    const other = await mail(bus, "joe", "Hello");
    const { running, question } = await asking(bus, "joe", "jack", "--json");
    const foreign = await answer(bus, "jack", "joe", "another-question");
    const before = bus.log().split("ListMessages").length;
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const looks = bus.log().split("ListMessages").length - before;
    expect(looks).toBeGreaterThan(0);
    expect(looks).toBeLessThan(6);
    const id = await answer(bus, "jack", "joe", question, "8092");
    const ended = await running.ended();
    expect(ended.code).toBe(0);
    expect(documentOf(ended).message).toMatchObject({ id, from: "jack", body: "8092", inReplyTo: question });
    expect(await unread(bus, "joe")).toEqual([other, foreign]);
  });

  test("finds an answer that another process of the same agent has read meanwhile", async () => {
    const [bus, joe, jack] = [shared(), newName("joe"), newName("jack")];
    const { running, question } = await asking(bus, joe, jack);
    const id = await answer(bus, jack, joe, question);
    await bus.ok("Ack", { agent: joe, messageIds: [id] });
    expect(await running.ended()).toMatchObject({ code: 0, stdout: expect.stringContaining(`--- end of ${id} ---`) });
  });

  test("prints a bounce and ends with 1", async () => {
    const [bus, joe, jack] = [shared(), newName("joe"), newName("jack")];
    await bus.ok("RegisterAgent", { agent: jack });
    const { running, question } = await asking(bus, joe, jack);
    await bus.ok("RemoveAgent", { agent: jack, force: true });
    const ended = await running.ended();
    expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining("nobody will answer it") });
    expect(ended.stdout).toMatch(new RegExp(`^From: bus\n(.*\n)*reason: RECIPIENT_REMOVED\nmessage: ${question}\n`));
    expect(await unread(bus, joe)).toEqual([]);
  });

  test("ends with 3 when no answer came in time, says how far the question got, and can be resumed", async () => {
    const [bus, joe, jack] = [shared(), newName("joe"), newName("jack")];
    const asked = ["ask", jack, "Which port?", "--request-id", newName("r"), "--json"];
    const late = await cliOf(bus, joe)([...asked, "--timeout", "1s"]);
    expect(late.code).toBe(3);
    const failure = documentOf(late);
    expect(failure).toMatchObject({ code: "deadline_exceeded", reason: "NO_ANSWER", field: "" });
    expect(failure.message).toContain(
      `${jack} did not answer within 1 s. The question ${failure.messageId} is unread; ${jack} was never seen on this bus.`,
    );
    expect(await unread(bus, jack)).toEqual([failure.messageId]);
    await bus.ok("PullInbox", { agent: jack, markRead: true });
    const read = await cliOf(bus, joe)([...asked, "--timeout", "1s"]);
    expect(read.stderr).toMatch(new RegExp(`The question ${failure.messageId} was read by ${jack} \\d+ s ago\\.`));
    const id = await answer(bus, jack, joe, failure.messageId);
    const resumed = await cliOf(bus, joe)(asked);
    expect(resumed).toMatchObject({ code: 0, stderr: expect.stringContaining("already stored") });
    expect(documentOf(resumed).message.id).toBe(id);
  });

  test("waits on while the bus restarts", { timeout: 30_000 }, async () => {
    const folder = temporaryFolder();
    const bus = await spawnBus({}, { folder });
    const { running, question } = await asking(bus, "joe", "jack");
    await bus.kill("SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const again = await spawnBus({}, { folder, port: bus.port });
    const id = await answer(again, "jack", "joe", question);
    expect(await running.ended()).toMatchObject({ code: 0, stdout: expect.stringContaining(`--- end of ${id} ---`) });
  });

  test("ends with 5 where no bus is, and says that the question is not kept", async () => {
    const env = { AGENTBUS_URL: DEAD_URL, AGENTBUS_AGENT: "joe" };
    const ended = await cli(["ask", "jack", "Which port?", "--timeout", "1s"], { env });
    expect(ended).toMatchObject({ code: 5, stdout: "" });
    expect(ended.stderr).toMatch(/^UNREACHABLE: .* A question is not kept in the outbox: .*\n$/);
  });

  test("ends with 5 when the bus is away at the end, and names the question", { timeout: 30_000 }, async () => {
    const bus = await spawnBus();
    const { running, question } = await asking(bus, "joe", "jack", "--timeout", "4s");
    await bus.kill("SIGKILL");
    const ended = await running.ended();
    expect(ended).toMatchObject({ code: 5, stderr: expect.stringContaining(`The question ${question} was sent`) });
  });

  test("is asked behind the drafts that wait", { timeout: 30_000 }, async () => {
    const bus = await spawnBus();
    const env = { AGENTBUS_OUTBOX: join(temporaryFolder(), "outbox.db") };
    const joe = cliOf(bus, "joe");
    await bus.kill("SIGKILL");
    expect((await joe(["send", "jack", "The port has changed.", "-s", "News"], { env })).code).toBe(4);
    const again = await spawnBus({}, { folder: bus.folder, port: bus.port });
    expect((await joe(["ask", "jack", "Which port?", "--timeout", "1s"], { env })).code).toBe(3);
    const { messages } = await again.ok("PullInbox", { agent: "jack" });
    expect(messages.map(({ subject }: { subject: string }) => subject)).toEqual(["News", "Question"]);
  });

  test("ends at once with 1 when it is refused", async () => {
    const joe = cliOf(await startBus({ unknownRecipients: "reject" }), "joe");
    expect(await joe(["ask", "jack", "x"])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^UNKNOWN_AGENT: /),
    });
  });

  test.each(["SIGINT", "SIGTERM"] as const)("ends by %s, and says where the answer will be", async (signal) => {
    const [bus, joe, jack, requestId] = [shared(), newName("joe"), newName("jack"), newName("r")];
    const content = { from: joe, to: jack, subject: "Question", body: "Which port?", requestId };
    const question = (await bus.ok("Send", content)).id;
    const { running } = await asking(bus, joe, jack, "--request-id", requestId);
    await until("it knows that it was sent", () => running.stderr().includes("already stored"));
    running.process.kill(signal);
    const ended = await running.ended();
    expect(ended).toMatchObject({ code: signal, stdout: "" });
    expect(ended.stderr).toMatch(
      new RegExp(
        `^already stored.*\nstopped waiting; the answer to ${question} will come to your inbox; .*--request-id ${requestId}\n$`,
      ),
    );
  });

  test.each(["90", "0s", "8d", "1.5h", "x"])("refuses --timeout %s with 2", async (text) => {
    const ended = await cli(["ask", "jack", "x", "--timeout", text, "--as", "joe"]);
    expect(ended).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("from 1s to 7d, such as 90s, 10m, 2h or 3d"),
    });
  });
});
