import { describe, expect, test } from "vitest";
import { startBus } from "../start-bus.ts";

const message = { from: "joe", to: "jack", subject: "Task", body: "Handle blog publishing" };

describe("the plain-HTTP pair", () => {
  test("hands out a message once with mark_read=true, with the five fields agents know", async () => {
    const bus = await startBus();
    const sent = await fetch(`${bus.url}/api/send`, { method: "POST", body: JSON.stringify(message) });
    expect(sent.status).toBe(200);

    const read = async () => (await fetch(`${bus.url}/api/inbox/jack?mark_read=true`)).json();
    const first = (await read()) as { messages: object[] };
    expect(first.messages).toHaveLength(1);
    expect(first.messages[0]).toMatchObject({ ...message, timestamp: expect.stringMatching(/^20\d\d-.*Z$/) });
    expect(await read()).toEqual({ messages: [] });
  });
});
