/** A Send while the bus is away, and while drafts wait: what is kept, what is refused, and in which order it arrives. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import type { Draft } from "#dist/client/outbox/draft.js";
import { Drafts } from "#dist/client/outbox/drafts.js";
import type { LiveSend } from "#dist/client/outbox/live-send.js";
import { NotKeptError } from "#dist/client/outbox/outbox-errors.js";
import { OutboxSender } from "#dist/client/outbox/outbox-sender.js";
import { UnreachableError } from "#dist/client/unreachable-error.js";
import { startBus, temporaryFolder } from "../start-bus.ts";
import { away, failure, keep, letter, newOutbox, over, subjects, UNAVAILABLE, URLS } from "./senders.ts";

/** Does what another does, and then says that nobody answered. */
function answerLost(live: LiveSend): LiveSend {
  return async (sent) => {
    await live(sent);
    throw new UnreachableError([{ url: "http://bus", why: "ECONNRESET", mayHaveArrived: true }]);
  };
}

function failing(error: Error): LiveSend {
  return () => Promise.reject(error);
}

/** Sends "second" while "first", which found no bus, is being kept; prints what was tried. */
const MADE_MEANWHILE = `
  import { ConnectError, Code } from "@connectrpc/connect";
  import { OutboxSender } from "#dist/client/outbox/outbox-sender.js";
  const tried = [];
  const live = async ({ subject }) => {
    tried.push(subject);
    if (tried.length === 1) throw new ConnectError("BUSY: try again", Code.Unavailable);
    return {};
  };
  const sender = new OutboxSender({ file: process.env.FILE, urls: ["http://bus"], live });
  const send = (subject) => sender.send({ sender: "joe", recipient: "jack", subject, body: "" });
  const first = send("first");
  // By then it is refused; to load the driver takes longer.
  for (let turn = 0; turn < 10; turn++) await undefined;
  await Promise.all([first, send("second")]);
  await sender.replay("joe");
  process.stdout.write(JSON.stringify(tried));`;

describe("a Send while the bus is away", () => {
  test("is kept, and answered with the request_id that it will have and how many wait", async () => {
    const outbox = newOutbox();
    const sender = outbox.sender(away);
    const [first, second] = [letter({ requestId: "mine" }), letter()];
    const told = { status: "queued", reason: expect.stringMatching(/^no bus answers at .*ECONNREFUSED/) };
    expect(await sender.send(first)).toEqual({ ...told, requestId: "mine", waiting: 1 });
    const answer = await sender.send(second);
    expect(answer).toEqual({ ...told, requestId: expect.stringMatching(/^[0-9a-f-]{36}$/), waiting: 2 });
    expect(outbox.list()).toMatchObject([
      { ...first, state: "waiting", requestId: "mine" },
      { ...second, state: "waiting", requestId: answer.status === "queued" && answer.requestId },
    ]);
  });

  test("keeps every field of the letter, also of a broadcast that includes its sender", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    await bus.ok("RegisterAgent", { agent: "joe" });
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const body = "a\u0001\r\n✓ 𝄞";
    await keep(
      outbox,
      letter({ subject: "reply", inReplyTo: "some-id", traceparent, ttlSeconds: 60, body }),
      letter({ subject: "to all", recipient: "all", includeSender: true }),
    );
    expect(await outbox.sender(over(bus)).replay("joe")).toMatchObject({ sent: 2, waiting: 0, stopped: undefined });
    const { messages } = await bus.ok("PullInbox", { agent: "jack" });
    expect(messages).toMatchObject([
      { from: "joe", to: "jack", subject: "reply", inReplyTo: "some-id", traceparent, body },
    ]);
    expect(messages[0].expireTime).toBeDefined();
    expect(await subjects(bus, "joe")).toEqual(["to all"]);
  });

  test("is kept with its own request_id when it may have arrived, and is stored once", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    const sent = letter();
    expect(await outbox.sender(answerLost(over(bus))).send(sent)).toMatchObject({ status: "queued" });
    expect(outbox.list()).toMatchObject([{ mayHaveArrived: true }]);
    await outbox.sender(over(bus)).replay("joe");
    expect(await subjects(bus, "jack")).toEqual([sent.subject]);
    expect(outbox.list()).toEqual([]);
  });

  test.each([
    ["unavailable", UNAVAILABLE],
    ["deadline_exceeded", failure(Code.DeadlineExceeded, "DEADLINE_EXCEEDED")],
  ])("is kept when the bus says %s", async (_, error) => {
    const outbox = newOutbox();
    expect(await outbox.sender(failing(error)).send(letter())).toMatchObject({ status: "queued", waiting: 1 });
    expect(outbox.list()).toMatchObject([{ state: "waiting", mayHaveArrived: true, reason: error.rawMessage }]);
  });

  test("repeated with its request_id is the same draft; with another content it is refused", async () => {
    const outbox = newOutbox();
    const [sender, sent] = [outbox.sender(away), letter({ requestId: "mine" })];
    for (let n = 0; n < 3; n++)
      expect(await sender.send({ ...sent, ttlSeconds: 60 + n })).toMatchObject({ waiting: 1 });
    await expect(sender.send({ ...sent, body: "y" })).rejects.toThrow(/^REQUEST_ID_REUSED: .*draft 1 /);
    expect(outbox.list()).toMatchObject([{ ...sent }]);
  });

  test("fails where the outbox is off, as it would without one", async () => {
    const sender = new OutboxSender({ file: undefined, urls: URLS, live: away });
    await expect(sender.send(letter())).rejects.toBeInstanceOf(UnreachableError);
    expect(await sender.replay("joe")).toMatchObject({ sent: 0, waiting: 0 });
  });

  test("fails beyond 1,000 drafts of its sender, and says so; another sender's is kept", async () => {
    const outbox = newOutbox();
    const owner = { bus: "http://another-bus", sender: "joe" };
    const why = { now: outbox.now, reason: "", mayHaveArrived: false };
    for (let n = 0; n < 999; n++) outbox.drafts.keep(owner, { ...letter(), requestId: String(n) }, why);
    const sender = outbox.sender(away);
    expect(await sender.send(letter())).toMatchObject({ status: "queued", waiting: 1 });
    const failed = await sender.send(letter()).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(NotKeptError);
    expect(failed).toMatchObject({ mayHaveArrived: false });
    expect(String(failed)).toMatch(
      /and no draft could be kept: the outbox holds 1000 drafts of joe.*agentbus outbox drop ID/,
    );
    expect(await sender.send(letter({ sender: "kim" }))).toMatchObject({ status: "queued", waiting: 1 });
    expect(outbox.list()).toHaveLength(1001);
  });

  test.each([
    ["a lone surrogate", { body: "\ud800" }, /body has a lone surrogate/],
    ["more bytes than a request may have", { body: "x".repeat(4 * 1024 * 1024) }, /more than any bus takes/],
  ])("is not kept with %s, which no bus would ever take", async (_, fields, why) => {
    const outbox = newOutbox();
    await expect(outbox.sender(away).send(letter(fields))).rejects.toThrow(why);
    expect(outbox.list()).toEqual([]);
  });
});

describe("a live Send that the bus refuses is the caller's, and not kept", () => {
  test("RATE_LIMITED: or the outbox would absorb the very loop that the limit stops", async () => {
    const [bus, outbox] = [await startBus({ rateLimit: "1/hour" }), newOutbox()];
    const sender = outbox.sender(over(bus));
    expect(await sender.send(letter())).toMatchObject({ status: "sent" });
    await expect(sender.send(letter())).rejects.toThrow(/RATE_LIMITED/);
    expect(outbox.list()).toEqual([]);
  });

  test("INVALID_FIELD, INBOX_FULL and a missing token", async () => {
    const outbox = newOutbox();
    const full = outbox.sender(over(await startBus({ maxInbox: "1" })));
    await expect(full.send(letter({ recipient: "No Name" }))).rejects.toThrow(/INVALID_FIELD/);
    expect(await full.send(letter())).toMatchObject({ status: "sent" });
    await expect(full.send(letter())).rejects.toThrow(/INBOX_FULL/);
    const closed = outbox.sender(over(await startBus({ token: "secret" })));
    await expect(closed.send(letter())).rejects.toThrow(/TOKEN_MISSING/);
    expect(outbox.list()).toEqual([]);
  });

  test.each([
    failure(Code.ResourceExhausted, "STORAGE_FULL"),
    failure(Code.Internal, "internal error"),
    failure(Code.Canceled, "CANCELED"),
  ])("%s", async (error) => {
    const outbox = newOutbox();
    await expect(outbox.sender(failing(error)).send(letter())).rejects.toBe(error);
    expect(outbox.list()).toEqual([]);
  });
});

describe("while drafts of an agent wait", () => {
  test("its further Sends are appended behind them, and then all are tried", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    const all = [letter(), letter(), letter()];
    await keep(outbox, all[0] as never, all[1] as never);
    const answer = await outbox.sender(over(bus)).send(all[2] as never);
    expect(answer).toMatchObject({ status: "sent", response: { deduplicated: false, recipientCount: 1 } });
    expect(await subjects(bus, "jack")).toEqual(all.map(({ subject }) => subject));
    expect(outbox.list()).toEqual([]);
  });

  test("a further Send is queued as long as the bus is away, and says why", async () => {
    const outbox = newOutbox();
    await keep(outbox, letter());
    const answer = await outbox.sender(away).send(letter());
    expect(answer).toMatchObject({ status: "queued", waiting: 2, reason: expect.stringMatching(/ECONNREFUSED/) });
  });

  test("a further Send that is refused is the caller's, and leaves nothing behind", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    await keep(outbox, letter());
    await expect(outbox.sender(over(bus)).send(letter({ recipient: "No Name" }))).rejects.toThrow(/INVALID_FIELD/);
    expect(outbox.list()).toEqual([]);
  });

  test("also many Sends at once of one client keep behind them and are tried by one replay", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    const before = Array.from({ length: 20 }, () => letter());
    await keep(outbox, ...before);
    let calls = 0;
    const sender = outbox.sender((sent) => {
      calls++;
      return over(bus)(sent);
    });
    const further = Array.from({ length: 20 }, () => letter());
    const answers = await Promise.all(further.map((one) => sender.send(one)));
    await sender.replay("joe");
    const arrived = await subjects(bus, "jack");
    expect(arrived).toEqual([...before, ...further].map(({ subject }) => subject));
    expect(answers.map(({ status }) => status)).toContain("sent");
    expect(calls).toBe(40);
  });

  test("a Send that is made while an earlier one is being kept does not overtake it", async () => {
    // In a process of its own: there the first draft has to wait until the driver is loaded.
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", MADE_MEANWHILE], {
      cwd: new URL("../..", import.meta.url),
      env: { FILE: `${temporaryFolder()}/outbox.db` },
    });
    expect(JSON.parse(stdout)).toEqual(["first", "first", "second"]);
  });

  test("another agent's Send, and one to another bus, go live", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    await keep(outbox, letter());
    expect(await outbox.sender(over(bus)).send(letter({ sender: "kim" }))).toMatchObject({ status: "sent" });
    expect(await outbox.sender(over(bus), ["http://other"]).send(letter())).toMatchObject({ status: "sent" });
    expect(outbox.list()).toHaveLength(1);
  });

  test("of a full outbox, a Send tries them first: it may make room", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    const owner = { bus: [...URLS].sort().join(","), sender: "joe" };
    const why = { now: outbox.now, reason: "", mayHaveArrived: false };
    for (let n = 0; n < 1000; n++) outbox.drafts.keep(owner, { ...letter(), requestId: String(n) }, why);
    const sender = outbox.sender(over(bus));
    expect(await sender.send(letter({ requestId: "one more" }))).toMatchObject({ status: "queued" });
    expect(outbox.list().at(-1)).toMatchObject({ requestId: "one more", state: "waiting" });
  });

  test("a Send whose draft another process was faster to send is told the bus's answer", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    await keep(outbox, letter());
    const live = over(bus);
    const other = new Drafts(outbox.file);
    const sender = outbox.sender(async (sent) => {
      const response = await live(sent);
      // The other process sends what comes behind, before this one looks for it.
      for (const { id } of other.list().slice(1)) {
        await live(other.get(id) as Draft);
        other.sent(id);
      }
      return response;
    });
    const sent = letter();
    expect(await sender.send(sent)).toMatchObject({ status: "sent", response: { deduplicated: true } });
    expect((await subjects(bus, "jack")).at(-1)).toBe(sent.subject);
    other.close();
  });
});

describe("a draft belongs to one bus and one sender", () => {
  test("the whole list of addresses, in whatever order and however written", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    await keep(outbox, letter());
    const part = outbox.sender(over(bus), URLS.slice(1));
    expect(await part.replay("joe")).toMatchObject({ sent: 0, waiting: 0 });
    const same = outbox.sender(over(bus), ["http://BUS-B:8091/", ...URLS]);
    expect(await same.replay("joe")).toMatchObject({ sent: 1, waiting: 0 });
  });

  test("whose name is folded as the bus folds it", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    await keep(outbox, letter({ sender: "JOE" }));
    const sender = outbox.sender(over(bus));
    expect(await sender.replay("kim")).toMatchObject({ sent: 0 });
    expect(await sender.replay("Joe")).toMatchObject({ sent: 1 });
  });
});
