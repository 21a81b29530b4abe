/** What becomes of drafts when they are tried: in which order, what each answer of the bus means, and what time does. */
import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import type { NamedLetter } from "#dist/client/outbox/draft.js";
import type { LiveSend } from "#dist/client/outbox/live-send.js";
import { verdictOn } from "#dist/client/outbox/verdict.js";
import { startBus } from "../start-bus.ts";
import { away, failure, keep, letter, newOutbox, over, subjects, UNAVAILABLE } from "./senders.ts";

const DAY_MS = 86_400_000;

/** Fails with what is in the list, one after the other, then does what another does; and remembers what was tried. */
function failingFirst(live: LiveSend, ...failures: Error[]) {
  const tried: NamedLetter[] = [];
  const send: LiveSend = (sent) => {
    tried.push(sent);
    const error = failures.shift();
    return error === undefined ? live(sent) : Promise.reject(error);
  };
  return { send, tried };
}

describe("a replay", () => {
  test("sends the oldest first, one at a time, and removes each once it is answered", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    const all = Array.from({ length: 10 }, (_, n) => letter({ recipient: n % 2 ? "jack" : "kim" }));
    await keep(outbox, ...all);
    const left: string[][] = [];
    let underWay = 0;
    const sender = outbox.sender(async (sent) => {
      expect(++underWay).toBe(1);
      left.push(outbox.list().map(({ subject }) => subject));
      const response = await over(bus)(sent);
      underWay--;
      return response;
    });
    expect(await sender.replay("joe")).toMatchObject({ sent: 10, waiting: 0, stopped: undefined });
    expect(left).toEqual(all.map((_, n) => all.slice(n).map(({ subject }) => subject)));
    expect(outbox.list()).toEqual([]);
  });

  test("does not call refused what another process has sent meanwhile", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    await keep(outbox, letter());
    const behind = letter();
    const slow = outbox.sender(async (sent) => {
      if (sent.subject !== behind.subject || outbox.list().length === 0) return over(bus)(sent);
      await outbox.sender(over(bus)).replay("joe");
      throw failure(Code.PermissionDenied, "NOT_YOUR_NAME");
    });
    expect(await slow.send(behind)).toMatchObject({ status: "sent", response: { deduplicated: true } });
    expect(outbox.list()).toEqual([]);
    expect(await subjects(bus, "jack")).toHaveLength(2);
  });

  test("keeps a draft whose answer was lost, and repeats it with the request_id that it was kept with", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    await keep(outbox, letter(), letter());
    const requestIds = outbox.list().map(({ requestId }) => requestId);
    const live = over(bus);
    const lost = failingFirst(live);
    const sender = outbox.sender(async (sent) => {
      await lost.send(sent);
      if (lost.tried.length < 4) throw UNAVAILABLE;
      return live(sent);
    });
    for (let n = 1; n < 4; n++) {
      expect(await sender.replay("joe")).toMatchObject({ sent: 0, waiting: 2, stopped: { isAway: true } });
      expect(outbox.list()[0]).toMatchObject({ state: "waiting", mayHaveArrived: true });
    }
    expect(await sender.replay("joe")).toMatchObject({ sent: 2, waiting: 0 });
    const [first, second] = requestIds;
    expect(lost.tried.map(({ requestId }) => requestId)).toEqual([first, first, first, first, second]);
    expect(await subjects(bus, "jack")).toHaveLength(2);
  });

  test("by two at once, again and again, stores each draft once and in order", { timeout: 60_000 }, async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    const all = Array.from({ length: 60 }, () => letter());
    await keep(outbox, ...all);
    const jittery = (): LiveSend => async (sent) => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 8));
      const response = await over(bus)(sent);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 8));
      if (Math.random() < 0.1) throw UNAVAILABLE;
      return response;
    };
    const flushers = [1, 2, 3].map(async () => {
      const sender = outbox.sender(jittery());
      while (outbox.list().length > 0) await sender.replay("joe");
    });
    await Promise.all(flushers);
    expect(await subjects(bus, "jack")).toEqual(all.map(({ subject }) => subject));
  });

  test("ends at its limits, and the next goes on", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    await keep(outbox, letter(), letter(), letter());
    const sender = outbox.sender(over(bus));
    expect(await sender.replay("joe", { maxDrafts: 2, maxMs: 1e9 })).toMatchObject({ sent: 2, waiting: 1 });
    expect(await sender.replay("joe", { maxDrafts: 9, maxMs: 0 })).toMatchObject({
      sent: 0,
      waiting: 1,
      stopped: undefined,
    });
    expect(await sender.replay("joe")).toMatchObject({ sent: 1, waiting: 0 });
  });
});

describe("what is refused for good is set aside, visible with its reason, and the next goes on", () => {
  test("invalid_argument, not_found, a reply chain that is too long, a request_id that was used", async () => {
    const [bus, outbox] = [await startBus({ unknownRecipients: "reject", maxHops: "1" }), newOutbox()];
    await bus.ok("RegisterAgent", { agent: "jack" });
    const { id: first } = await bus.ok("Send", { from: "joe", to: "jack", subject: "0", body: "" });
    const { id: reply } = await bus.ok("Send", { from: "jack", to: "joe", subject: "1", body: "", inReplyTo: first });
    await bus.ok("Send", { from: "joe", to: "jack", subject: "used", body: "", requestId: "used" });
    const good = letter();
    await keep(
      outbox,
      letter({ recipient: "No Name" }),
      letter({ recipient: "nobody" }),
      letter({ inReplyTo: reply }),
      letter({ requestId: "used" }),
      good,
    );
    expect(await outbox.sender(over(bus)).replay("joe")).toMatchObject({ sent: 1, setAside: 4, waiting: 0 });
    expect(outbox.list().map(({ state, reason }) => [state, reason.split(":")[0]])).toEqual([
      ["set aside", "INVALID_FIELD"],
      ["set aside", "UNKNOWN_AGENT"],
      ["set aside", "TOO_MANY_HOPS"],
      ["set aside", "REQUEST_ID_REUSED"],
    ]);
    expect((await subjects(bus, "jack")).at(-1)).toBe(good.subject);
  });

  test.each([
    [Code.PermissionDenied, "NOT_YOUR_NAME"],
    [Code.ResourceExhausted, "REQUEST_TOO_LARGE"],
    [Code.Unimplemented, "UNIMPLEMENTED"],
  ])("%s %s", async (code, reason) => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    await keep(outbox, letter(), letter());
    const { send } = failingFirst(over(bus), failure(code, reason));
    expect(await outbox.sender(send).replay("joe")).toMatchObject({ sent: 1, setAside: 1, waiting: 0 });
    expect(outbox.list()).toMatchObject([{ state: "set aside", reason: `${reason}: so it is` }]);
  });

  test("and stays so, whatever is sent, until a person drops or retries it", async () => {
    const [bus, outbox] = [await startBus({ unknownRecipients: "reject" }), newOutbox()];
    const [one, other] = [letter({ recipient: "late" }), letter({ recipient: "late" })];
    await keep(outbox, one, other);
    const sender = outbox.sender(over(bus));
    await sender.replay("joe");
    await bus.ok("RegisterAgent", { agent: "late" });
    await sender.send(letter({ recipient: "late", subject: "live" }));
    expect(await sender.replay("joe")).toMatchObject({ sent: 0, waiting: 0 });
    const [first, second] = outbox.list();
    expect([first?.state, second?.state]).toEqual(["set aside", "set aside"]);
    expect(outbox.drafts.drop(first?.id as number)).toBe(true);
    expect(outbox.drafts.drop(first?.id as number)).toBe(false);
    expect(outbox.drafts.retry(second?.id as number, outbox.now)).toMatchObject({ state: "waiting" });
    expect(await sender.replay("joe")).toMatchObject({ sent: 1, waiting: 0 });
    expect(await subjects(bus, "late")).toEqual(["live", other.subject]);
    expect(outbox.list()).toEqual([]);
  });

  test("internal: only the fifth time; until then it stops and waits", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    await keep(outbox, letter(), letter());
    const broken = () => failure(Code.Internal, "internal error 7");
    const { send, tried } = failingFirst(over(bus), broken(), broken(), broken(), broken(), broken());
    const sender = outbox.sender(send);
    for (let n = 1; n < 5; n++) {
      expect(await sender.replay("joe")).toMatchObject({
        sent: 0,
        setAside: 0,
        waiting: 2,
        stopped: { isAway: false },
      });
      expect(tried).toHaveLength(n);
      expect(outbox.list()).toMatchObject([{ state: "waiting" }, { state: "waiting" }]);
    }
    expect(await sender.replay("joe")).toMatchObject({ setAside: 1, waiting: 1 });
    expect(await sender.replay("joe")).toMatchObject({ sent: 1, waiting: 0 });
    expect(outbox.list()).toMatchObject([{ state: "set aside", reason: "internal error 7: so it is" }]);
  });
});

describe("INBOX_FULL parks that recipient's drafts only", () => {
  test("which are tried again later, in their order, with what was written meanwhile behind them", async () => {
    const [bus, outbox] = [await startBus({ maxInbox: "1" }), newOutbox()];
    await bus.ok("Send", { from: "x", to: "jack", subject: "in the way", body: "" });
    const [one, toKim, two, three] = [letter(), letter({ recipient: "kim" }), letter(), letter()];
    await keep(outbox, one, toKim, two);
    const live = failingFirst(over(bus));
    const sender = outbox.sender(live.send);
    expect(await sender.replay("joe")).toMatchObject({
      sent: 1,
      parked: 1,
      waiting: 2,
      nextRetryAt: outbox.now + 60_000,
    });
    expect(await subjects(bus, "kim")).toEqual([toKim.subject]);
    expect(live.tried.map(({ subject }) => subject)).toEqual([one.subject, toKim.subject]);
    const parked = { state: "parked", retryAt: outbox.now + 60_000, reason: expect.stringMatching(/^INBOX_FULL/) };
    expect(outbox.list()).toMatchObject([parked, parked]);

    expect(await sender.send(three)).toMatchObject({ status: "queued", waiting: 3 });
    await bus.ok("PullInbox", { agent: "kim", markRead: true });
    expect(await sender.send(letter({ recipient: "kim" }))).toMatchObject({ status: "sent" });
    expect(live.tried.filter(({ recipient }) => recipient === "jack")).toHaveLength(1);

    outbox.now += 60_000;
    expect(await sender.replay("joe")).toMatchObject({ sent: 0, parked: 1, waiting: 3 });
    for (const expected of ["in the way", one.subject, two.subject, three.subject]) {
      const { messages } = await bus.ok("PullInbox", { agent: "jack", markRead: true });
      expect(messages).toMatchObject([{ subject: expected }]);
      outbox.now += 60_000;
      await sender.replay("joe");
    }
    expect(outbox.list()).toEqual([]);
  });

  test("for no longer than that where the clock was set back meanwhile", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    await keep(outbox, letter());
    const { send } = failingFirst(over(bus), failure(Code.ResourceExhausted, "INBOX_FULL"));
    const sender = outbox.sender(send);
    expect(await sender.replay("joe")).toMatchObject({ parked: 1 });
    outbox.now -= DAY_MS;
    expect(await sender.replay("joe")).toMatchObject({ sent: 1, waiting: 0 });
  });

  test("and a person's retry of one tries them all at once, in their order", async () => {
    const [bus, outbox] = [await startBus({ maxInbox: "1" }), newOutbox()];
    await bus.ok("Send", { from: "x", to: "jack", subject: "in the way", body: "" });
    const [one, two] = [letter(), letter()];
    await keep(outbox, one, two);
    const sender = outbox.sender(over(bus));
    await sender.replay("joe");
    await bus.ok("PullInbox", { agent: "jack", markRead: true });
    outbox.drafts.retry(outbox.list()[1]?.id as number, outbox.now);
    expect(await sender.replay("joe")).toMatchObject({ sent: 1, parked: 1, waiting: 1 });
    expect(await subjects(bus, "jack")).toEqual([one.subject]);
  });
});

describe("what is not the draft's fault stops the replay: nothing moves, nothing behind is tried", () => {
  test.each([
    ["unauthenticated", failure(Code.Unauthenticated, "TOKEN_INVALID"), false],
    ["STORAGE_FULL", failure(Code.ResourceExhausted, "STORAGE_FULL"), false],
    ["unavailable", UNAVAILABLE, true],
    ["deadline_exceeded", failure(Code.DeadlineExceeded, "DEADLINE_EXCEEDED"), true],
    ["canceled", failure(Code.Canceled, "CANCELED"), false],
  ])("%s", async (_, error, isAway) => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    await keep(outbox, letter(), letter());
    const { send, tried } = failingFirst(over(bus), error);
    const sender = outbox.sender(send);
    const stopped = { reason: error.rawMessage, isAway };
    expect(await sender.replay("joe")).toMatchObject({ sent: 0, setAside: 0, parked: 0, waiting: 2, stopped });
    expect(tried).toHaveLength(1);
    expect(outbox.list()).toMatchObject([{ state: "waiting", reason: error.rawMessage }, { state: "waiting" }]);
    expect(await sender.replay("joe")).toMatchObject({ sent: 2, waiting: 0, stopped: undefined });
  });

  test("no bus at all", async () => {
    const outbox = newOutbox();
    await keep(outbox, letter());
    expect(await outbox.sender(away).replay("joe")).toMatchObject({ waiting: 1, stopped: { isAway: true } });
    expect(outbox.list()).toMatchObject([{ state: "waiting", mayHaveArrived: false }]);
  });

  test("RATE_LIMITED, with the time after which the bus takes more", async () => {
    const [bus, outbox] = [await startBus({ rateLimit: "2/hour" }), newOutbox()];
    await keep(outbox, letter(), letter(), letter(), letter());
    const replayed = await outbox.sender(over(bus)).replay("joe");
    expect(replayed).toMatchObject({
      sent: 2,
      waiting: 2,
      stopped: { reason: expect.stringMatching(/^RATE_LIMITED/) },
    });
    expect(replayed?.stopped?.retryAfterMs).toBeGreaterThan(3_500_000);
    expect(replayed?.stopped?.retryAfterMs).toBeLessThanOrEqual(3_600_000);
  });

  test("a defect of the client's own counts as internal", () => {
    expect(verdictOn(new TypeError("x is not a function"))).toEqual({
      kind: "internal",
      reason: "x is not a function",
    });
  });
});

describe("a draft keeps its deadline", () => {
  test("it sends the ttl that remains", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    await keep(outbox, letter({ ttlSeconds: 3600 }));
    const end = outbox.now + 3_600_000;
    outbox.now += 1_000_500;
    const { send, tried } = failingFirst(over(bus));
    await outbox.sender(send).replay("joe");
    expect(tried).toMatchObject([{ ttlSeconds: 2600 }]); // whole seconds, never less than what remains
    const { messages } = await bus.ok("PullInbox", { agent: "jack" });
    // The bus's clock did not move by what ours did.
    expect(Date.parse(messages[0].expireTime) + 1_000_500 - end).toBeLessThan(5000);
  });

  test("and is EXPIRED once it is over: not sent, visible, and no Send waits for it", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    await keep(outbox, letter({ ttlSeconds: 60 }), letter({ ttlSeconds: 120 }));
    outbox.now += 59_999;
    expect(await outbox.sender(away).replay("joe")).toMatchObject({ expired: 0, waiting: 2 });
    outbox.now += 1;
    const { send, tried } = failingFirst(over(bus));
    expect(await outbox.sender(send).replay("joe")).toMatchObject({ expired: 1, sent: 1, waiting: 0 });
    expect(tried).toMatchObject([{ ttlSeconds: 60 }]);
    expect(outbox.list()).toMatchObject([
      { state: "expired", reason: expect.stringMatching(/^EXPIRED: its ttl .*ECONNREFUSED/) },
    ]);
    expect(await outbox.sender(send).send(letter())).toMatchObject({ status: "sent" });
    expect(tried).toHaveLength(2);
  });

  test("and says so where a try may have arrived", async () => {
    const outbox = newOutbox();
    const { send } = failingFirst(away, UNAVAILABLE);
    await outbox.sender(send).send(letter({ ttlSeconds: 60 }));
    outbox.now += 60_000;
    expect(outbox.list()).toMatchObject([
      { state: "expired", reason: expect.stringMatching(/a try may have arrived/) },
    ]);
  });

  test("but a person's retry leaves out a ttl that is over", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    await keep(outbox, letter({ ttlSeconds: 60 }));
    outbox.now += 60_000;
    const id = outbox.list()[0]?.id as number;
    expect(outbox.drafts.retry(id, outbox.now)).toMatchObject({ state: "waiting", deadlineAt: undefined });
    expect(await outbox.sender(over(bus)).replay("joe")).toMatchObject({ sent: 1 });
    const { messages } = await bus.ok("PullInbox", { agent: "jack" });
    expect(messages[0].expireTime).toBeUndefined();
  });
});

describe("no draft older than 30 days is replayed", () => {
  test("it is EXPIRED visibly, and a person can't have it retried either", async () => {
    const [bus, outbox] = [await startBus(), newOutbox()];
    await keep(outbox, letter({ ttlSeconds: 31_536_000 }));
    outbox.now += 30 * DAY_MS - 1;
    expect(await outbox.sender(away).replay("joe")).toMatchObject({ expired: 0, waiting: 1 });
    outbox.now += 1;
    expect(await outbox.sender(over(bus)).replay("joe")).toMatchObject({ expired: 1, sent: 0, waiting: 0 });
    const [draft] = outbox.list();
    expect(draft).toMatchObject({ state: "expired", reason: expect.stringMatching(/^EXPIRED: kept for 30 days/) });
    expect(() => outbox.drafts.retry(draft?.id as number, outbox.now)).toThrow(
      /more than 30 days ago.*send its text anew/,
    );
    expect(await subjects(bus, "jack")).toEqual([]);
  });
});
