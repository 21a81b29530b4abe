/** agentbus/testing as other people's tests use it: a bus of their own that leaves nothing behind. */
import { existsSync, readdirSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { startTestBus } from "#dist/testing/start-test-bus.js";
import { temporaryFolder } from "../start-bus.ts";

describe("startTestBus", () => {
  test("gives a bus whose clients send and read, without a rate limit, whatever the environment says", async () => {
    vi.stubEnv("AGENTBUS_TOKEN", "of another bus");
    vi.stubEnv("AGENTBUS_URL", "http://127.0.0.1:1");
    vi.stubEnv("AGENTBUS_RATE_LIMIT", "1/hour");
    await using bus = await startTestBus();
    const joe = bus.client("joe");
    for (let i = 0; i < 20; i++) await joe.send({ to: "jack", body: `${i}` });
    const { messages } = await bus.client().rpc.pullInbox({ agent: "jack" });
    expect(messages.map(({ body }) => Number(body))).toEqual([...Array(20).keys()]);
    vi.unstubAllEnvs();
  });

  test("takes the flags of serve, and its clients bring the token", async () => {
    await using bus = await startTestBus({ token: "secret", rateLimit: "1/min" });
    await bus.client("joe").send({ to: "jack", body: "x" });
    await expect(bus.client("joe").send({ to: "jack", body: "x" })).rejects.toMatchObject({ reason: "RATE_LIMITED" });
    expect((await fetch(`${bus.url}/api/inbox/jack`)).status).toBe(401);
    await expect(startTestBus({ rateLimit: "many" })).rejects.toThrow(/^--rate-limit /);
  });

  test("leaves no file and no socket when it is closed, twice too, and keeps a database that was named", async () => {
    const folder = temporaryFolder();
    vi.stubEnv("TMPDIR", folder);
    const bus = await startTestBus();
    expect(readdirSync(folder)).toHaveLength(1);
    await bus.close();
    await bus.close();
    await expect(startTestBus({ host: "192.0.2.1", token: "x" })).rejects.toThrow(/can't listen on 192\.0\.2\.1/);
    expect(readdirSync(folder)).toEqual([]);
    await expect(fetch(bus.url)).rejects.toThrow();
    vi.unstubAllEnvs();

    const store = `sqlite:${folder}/mine.db`;
    const first = await startTestBus({ store });
    await first.client("joe").send({ to: "jack", body: "kept" });
    await first.close();
    expect(existsSync(`${folder}/mine.db`)).toBe(true);
    await using second = await startTestBus({ store });
    expect((await second.client().rpc.pullInbox({ agent: "jack" })).messages).toHaveLength(1);
  });
});
