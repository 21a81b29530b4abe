/** The process is killed with -9 under load, again and again: what was answered is there, exactly once. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type BusProcess, clientOf, spawnBus, startBus, temporaryFolder } from "../start-bus.ts";

const SENDERS = 64;
const KILLS = 15;

interface Sent {
  readonly requestId: string;
  readonly id: string;
}

/** One sender: the same request until it is answered, then the next, until told to stop. */
async function sendUntilStopped(name: string, bus: () => BusProcess, stopped: () => boolean): Promise<Sent[]> {
  const answered: Sent[] = [];
  for (let n = 0; !stopped(); ) {
    const requestId = `${name}-${n}`;
    try {
      const response = await bus().call("Send", { from: name, to: "jack", subject: "n", body: requestId, requestId });
      if (response.status !== 200) throw new Error(`answered ${response.status}`);
      answered.push({ requestId, id: response.body.id });
      n++;
    } catch {
      await sleep(5);
    }
  }
  return answered;
}

describe("kill -9 under load", () => {
  test(`keeps every answered message of ${SENDERS} senders exactly once over ${KILLS} kills`, {
    timeout: 120_000,
  }, async () => {
    const folder = temporaryFolder();
    let bus = await spawnBus({}, { folder });
    const { port } = bus;
    let stop = false;
    const senders = Array.from({ length: SENDERS }, (_, i) =>
      sendUntilStopped(
        `sender-${i}`,
        () => bus,
        () => stop,
      ),
    );
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(100 + Math.random() * 300);
      await bus.kill("SIGKILL");
      bus = await spawnBus({}, { folder, port });
    }
    stop = true;
    const answered = (await Promise.all(senders)).flat();
    await bus.kill("SIGKILL");

    const after = await startBus({}, folder);
    const stored = new Map<string, string[]>();
    const client = clientOf(after);
    for (let more = true; more; ) {
      const page = await client.pullInbox({ agent: "jack", maxMessages: 1000, markRead: true });
      for (const { body, id } of page.messages) stored.set(body, [...(stored.get(body) ?? []), id]);
      more = page.hasMore;
    }
    expect(answered.length).toBeGreaterThan(SENDERS);
    const lost = answered.filter(({ requestId, id }) => !stored.get(requestId)?.includes(id));
    const twice = [...stored].filter(([, ids]) => ids.length > 1);
    // A sender repeats what was not answered, so at most its last request is there without an answer.
    const unanswered = stored.size - answered.length;
    process.stdout.write(
      `kill -9: ${answered.length} answered, ${lost.length} lost, ${twice.length} twice, ${unanswered} stored unanswered, ${KILLS} kills\n`,
    );
    expect(lost).toEqual([]);
    expect(twice).toEqual([]);
    expect(unanswered).toBeGreaterThanOrEqual(0);
    expect(unanswered).toBeLessThanOrEqual(SENDERS);
  });
});
