/** A clock that was set back while the bus was down must hold neither mail nor senders. */
import { describe, expect, test } from "vitest";
import { openFreshSqlite } from "./open-sqlite.ts";
import { begin, bodies, DAY, HOUR, MINUTE, SECOND } from "./store-under-test.ts";

describe("a SQLite store whose clock was set back between two runs", () => {
  test("lets a running lease end at most its own length from now", async () => {
    const mail = await begin(openFreshSqlite);
    await mail.post("jack", "1");
    await mail.lease("jack", MINUTE);
    mail.later(-DAY);
    await mail.restart();
    expect(await mail.look("jack")).toMatchObject({ messages: [], dueAt: mail.now + MINUTE });
    mail.later(MINUTE - 1);
    expect(bodies(await mail.look("jack"))).toEqual([]);
    mail.later(1);
    expect((await mail.look("jack")).messages).toMatchObject([{ body: "1", deliveryAttempt: 1 }]);
  });

  test("lets it do so however little the clock was set back", async () => {
    const mail = await begin(openFreshSqlite);
    await mail.post("jack", "1");
    await mail.lease("jack", MINUTE);
    mail.later(-1);
    await mail.restart();
    expect((await mail.look("jack")).dueAt).toBe(mail.now + MINUTE);
  });

  test("takes the length that a lease was prolonged by", async () => {
    const mail = await begin(openFreshSqlite);
    await mail.post("jack", "1");
    const { leaseId } = await mail.lease("jack", MINUTE);
    await mail.store.extendLease("jack", leaseId, HOUR);
    mail.later(-DAY);
    await mail.restart();
    mail.later(HOUR - 1);
    expect(bodies(await mail.look("jack"))).toEqual([]);
    mail.later(1);
    expect(bodies(await mail.look("jack"))).toEqual(["1"]);
  });

  test("leaves a lease alone that ends sooner than its length from now", async () => {
    const mail = await begin(openFreshSqlite);
    await mail.post("jack", "1");
    const { expireAt } = await mail.lease("jack", HOUR);
    mail.later(30 * MINUTE);
    await mail.restart();
    expect((await mail.look("jack")).dueAt).toBe(expireAt);
    mail.later(-10 * MINUTE);
    await mail.restart();
    expect((await mail.look("jack")).dueAt).toBe(expireAt);
  });

  test("holds nothing that was given back, acked or had run out", async () => {
    const mail = await begin(openFreshSqlite);
    const [, two = ""] = await mail.post("jack", "given back", "acked", "run out");
    const { leaseId } = await mail.lease("jack", HOUR, { maxMessages: 1 });
    await mail.store.giveBack("jack", leaseId, undefined);
    await mail.lease("jack", HOUR, { maxMessages: 1 });
    await mail.store.ack("jack", [two], undefined);
    await mail.lease("jack", MINUTE);
    mail.later(2 * HOUR);
    const again = await mail.lease("jack", MINUTE, { maxMessages: 1 });
    await mail.store.giveBack("jack", again.leaseId, undefined);
    mail.later(-DAY);
    await mail.restart();
    expect(bodies(await mail.look("jack"))).toEqual(["given back"]);
    mail.later(MINUTE);
    expect(bodies(await mail.look("jack"))).toEqual(["given back", "run out"]);
  });

  test("lets a lease be repeated, prolonged and acked as before", async () => {
    const mail = await begin(openFreshSqlite);
    const [id = ""] = await mail.post("jack", "1");
    const first = await mail.lease("jack", MINUTE, { requestId: "k" });
    mail.later(-DAY);
    await mail.restart();
    const repeat = await mail.lease("jack", MINUTE, { requestId: "k" });
    expect([repeat.leaseId, repeat.expireAt]).toEqual([first.leaseId, mail.now + MINUTE]);
    expect((await mail.store.extendLease("jack", first.leaseId, HOUR)).expireAt).toBe(mail.now + HOUR);
    expect((await mail.store.ack("jack", [id], first.leaseId)).ackedCount).toBe(1);
  });

  test("counts what a sender stored later as stored now", async () => {
    const mail = await begin(openFreshSqlite, { rateLimit: { count: 2, windowMs: MINUTE } });
    await mail.send();
    mail.later(10 * SECOND);
    await mail.send();
    mail.later(-DAY);
    await mail.restart();
    expect((await mail.refusal({})).retryAfterMs).toBe(MINUTE);
    mail.later(MINUTE);
    await mail.send();
    await mail.send();
    expect((await mail.refusal({})).retryAfterMs).toBe(MINUTE);
  });

  test("leaves what a sender stored before now where it is", async () => {
    const mail = await begin(openFreshSqlite, { rateLimit: { count: 2, windowMs: MINUTE } });
    await mail.send();
    mail.later(20 * SECOND);
    await mail.send();
    mail.later(-10 * SECOND);
    await mail.restart();
    expect((await mail.refusal({})).retryAfterMs).toBe(50 * SECOND);
  });
});
