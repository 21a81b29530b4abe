/** How many messages one sender may store in a sliding window. */
import { describe, expect, test } from "vitest";
import {
  accepted,
  begin,
  bodies,
  MINUTE,
  NOON,
  newMessage,
  type OpenStore,
  refused,
  SECOND,
} from "../store-under-test.ts";

const THREE_A_MINUTE = { rateLimit: { count: 3, windowMs: MINUTE } };

export function testRateLimit(open: OpenStore): void {
  describe("the rate limit", () => {
    test("refuses what goes beyond it and says to the millisecond when the next one is taken", async () => {
      const mail = await begin(open, THREE_A_MINUTE);
      await mail.batch({}, {}, {});
      expect(await mail.refusal({})).toMatchObject({ reason: "RATE_LIMITED", retryAfterMs: MINUTE });
      mail.later(20 * SECOND);
      expect((await mail.refusal({})).retryAfterMs).toBe(40 * SECOND);
      mail.now = NOON + MINUTE - 1;
      expect((await mail.refusal({})).retryAfterMs).toBe(1);
      mail.now = NOON + MINUTE;
      expect((await mail.send()).timestamp).toBe(NOON + MINUTE);
    });

    test("names the sender, the limit and the wait", async () => {
      const mail = await begin(open, THREE_A_MINUTE);
      await mail.batch({}, {}, {});
      const refusal = await mail.refusal({});
      expect(refusal.quota?.subject).toContain("joe");
      expect(refusal.quota?.description).toContain("3 in 60 s");
      expect(refusal.advice).toMatch(/joe.*3 in 60 s.*60 s/);
    });

    test("slides: each message makes room when it is itself a window old", async () => {
      const mail = await begin(open, THREE_A_MINUTE);
      for (const at of [0, 30, 59]) {
        mail.now = NOON + at * SECOND;
        await mail.send();
      }
      mail.now = NOON + 60 * SECOND;
      await mail.send();
      mail.now = NOON + 61 * SECOND;
      expect((await mail.refusal({})).retryAfterMs).toBe(29 * SECOND);
      mail.now = NOON + 90 * SECOND;
      await mail.send();
      expect((await mail.refusal({})).retryAfterMs).toBe(29 * SECOND);
    });

    test("never lets more than the limit into any window, however the Sends fall", async () => {
      const mail = await begin(open, THREE_A_MINUTE);
      const stored: number[] = [];
      for (let i = 0; i < 200; i++) {
        // Steps of 1 to 13 seconds, in no rhythm that the window could share.
        mail.later((1 + ((i * 7919) % 13)) * SECOND);
        const [outcome] = await mail.batch({});
        if (outcome !== undefined && "timestamp" in outcome) stored.push(outcome.timestamp);
      }
      const tooClose = stored.filter((at, i) => at - (stored[i - 3] ?? Number.NEGATIVE_INFINITY) < MINUTE);
      expect(tooClose).toEqual([]);
      expect(stored.length).toBeGreaterThan(50);
    });

    test("is judged one by one when many send at once", async () => {
      const mail = await begin(open, THREE_A_MINUTE);
      const outcomes = await Promise.all(Array.from({ length: 20 }, () => mail.batch({})));
      expect(outcomes.flat().filter((outcome) => "id" in outcome)).toHaveLength(3);
      expect((await mail.look("jack")).messages).toHaveLength(3);
    });

    test("takes from a batch what still fits", async () => {
      const mail = await begin(open, THREE_A_MINUTE);
      const outcomes = await mail.batch({ body: "1" }, { body: "2" }, { body: "3" }, { body: "4" }, { body: "5" });
      expect(outcomes.slice(0, 3).map(accepted)).toHaveLength(3);
      expect(outcomes.slice(3).map((outcome) => refused(outcome).reason)).toEqual(["RATE_LIMITED", "RATE_LIMITED"]);
      expect(bodies(await mail.look("jack"))).toEqual(["1", "2", "3"]);
    });

    test("a refused Send stores nothing, registers nobody and counts for nothing", async () => {
      const mail = await begin(open, THREE_A_MINUTE);
      await mail.batch({}, {}, {});
      await mail.register("jack");
      await mail.store.removeAgent("joe", false);
      const message = newMessage({ to: "nobody" });
      expect(refused((await mail.store.send([message]))[0]).reason).toBe("RATE_LIMITED");
      expect(await mail.store.getMessage("joe", message.id)).toBeUndefined();
      expect(await mail.registered()).toEqual(["jack"]);
      mail.now = NOON + MINUTE;
      expect((await mail.batch({}, {}, {})).map(accepted)).toHaveLength(3);
    });

    test("what is refused for another reason counts for nothing", async () => {
      const mail = await begin(open, { ...THREE_A_MINUTE, unknownRecipients: "reject" });
      await mail.register("joe", "jack");
      for (let i = 0; i < 5; i++) await mail.refusal({ to: "nobody" });
      expect((await mail.batch({}, {}, {})).map(accepted)).toHaveLength(3);
    });

    test("a repeat is free, also when nothing else would be taken", async () => {
      const mail = await begin(open, THREE_A_MINUTE);
      for (let i = 0; i < 10; i++) await mail.send({ requestId: "k" });
      await mail.batch({}, {});
      expect((await mail.send({ requestId: "k" })).deduplicated).toBe(true);
      expect((await mail.refusal({})).reason).toBe("RATE_LIMITED");
    });

    test("a broadcast counts as one message, however many it reaches", async () => {
      const mail = await begin(open, THREE_A_MINUTE);
      await mail.register("ann", "bob", "cid", "dan", "eve");
      await mail.send({ to: "ALL" });
      await mail.send({ to: "ALL" });
      await mail.send();
      expect((await mail.refusal({ to: "ALL" })).reason).toBe("RATE_LIMITED");
      expect((await mail.look("ann")).messages).toHaveLength(2);
    });

    test("is each sender's own", async () => {
      const mail = await begin(open, THREE_A_MINUTE);
      await mail.batch({}, {}, {});
      expect((await mail.send({ from: "ann" })).recipientCount).toBe(1);
    });

    test("leaves pulling, acking and registering free", async () => {
      const mail = await begin(open, THREE_A_MINUTE);
      await mail.batch({ to: "joe" }, { to: "joe" }, { to: "joe" });
      expect((await mail.refusal({})).reason).toBe("RATE_LIMITED");
      const { messages } = await mail.look("joe");
      expect((await mail.store.ack("joe", [messages[0]?.id ?? ""], undefined)).ackedCount).toBe(1);
      expect((await mail.read("joe")).messages).toHaveLength(2);
      expect((await mail.store.registerAgent("joe", "limited")).description).toBe("limited");
    });

    test("outlives a restart", async () => {
      const mail = await begin(open, THREE_A_MINUTE);
      await mail.send();
      mail.later(10 * SECOND);
      await mail.batch({}, {});
      await mail.restart();
      expect((await mail.refusal({})).retryAfterMs).toBe(50 * SECOND);
      mail.later(50 * SECOND);
      await mail.send();
      expect((await mail.refusal({})).retryAfterMs).toBe(10 * SECOND);
    });

    test("outlives the removal of the sender", async () => {
      const mail = await begin(open, THREE_A_MINUTE);
      await mail.batch({}, {}, {});
      await mail.store.removeAgent("joe", false);
      await mail.register("joe");
      expect((await mail.refusal({})).retryAfterMs).toBe(MINUTE);
    });

    test("counts what is there already when it is made tighter", async () => {
      const mail = await begin(open, THREE_A_MINUTE);
      await mail.batch({}, {}, {});
      await mail.restart({ rateLimit: { count: 1, windowMs: MINUTE } });
      expect((await mail.refusal({})).retryAfterMs).toBe(MINUTE);
    });

    test("can have another window", async () => {
      const mail = await begin(open, { rateLimit: { count: 1, windowMs: SECOND } });
      await mail.send();
      mail.later(SECOND - 1);
      expect((await mail.refusal({})).retryAfterMs).toBe(1);
      mail.later(1);
      expect((await mail.send()).deduplicated).toBe(false);
    });

    test("is off when there is none", async () => {
      const mail = await begin(open, { rateLimit: undefined });
      const outcomes = await mail.batch(...Array.from({ length: 200 }, () => ({})));
      expect(outcomes.map(accepted)).toHaveLength(200);
    });
  });
}
