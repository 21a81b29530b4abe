/** What BusClient sends and how it fails, against a real bus. */
import { describe, expect, test } from "vitest";
import { BusClient, type BusClientOptions, BusRefusal, SettingError } from "#dist/client/index.js";
import { type Flags, startBus } from "../start-bus.ts";
import { clientFor } from "./client-for.ts";

async function busAndJoe(flags: Flags = {}, options: BusClientOptions = {}) {
  const bus = await startBus(flags);
  return { bus, joe: clientFor(bus, options) };
}

test("a client with an option that is misspelled or can't be used is none", () => {
  const make = (options: object) => () => new BusClient(options);
  expect(make({ url: "http://bus.example" })).toThrow(SettingError);
  expect(make({ url: "http://bus.example" })).toThrow(/^a BusClient has no option url; it has urls, token, /);
  expect(make({ urls: ["localhost:8091"] })).toThrow(/^urls must be http:.*not "localhost:8091"$/);
});

describe("a message", () => {
  test("that was sent lies in its recipient's inbox, as it was sent", async () => {
    const { bus, joe } = await busAndJoe();
    const sent = await joe.send({ to: "jack", subject: "Review", body: "PR 12, please", ttlSeconds: 60 });
    expect(sent).toMatchObject({ status: "sent", deduplicated: false, recipientKnown: false, recipientCount: 1 });
    const { messages } = await bus.ok("PullInbox", { agent: "jack" });
    expect(messages).toMatchObject([
      { id: sent.status === "sent" && sent.id, from: "joe", to: "jack", subject: "Review", body: "PR 12, please" },
    ]);
  });

  test("that breaks a rule is refused with code, reason and field as data", async () => {
    const { joe } = await busAndJoe();
    const refusal = await joe.send({ to: "No Name", body: "x" }).catch((error) => error);
    expect(refusal).toBeInstanceOf(BusRefusal);
    expect(refusal).toMatchObject({
      name: "BusRefusal",
      code: "invalid_argument",
      reason: "INVALID_FIELD",
      retryAfterMs: undefined,
      violations: [{ field: "to" }],
      message: expect.stringMatching(/^INVALID_FIELD: to /),
    });
  });
});
