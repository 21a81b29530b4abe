/** What lasts and what does not: waits that are called off, a bus that shuts down, and nothing left of a thousand requests. */
import http from "node:http";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, onTestFinished, test } from "vitest";
import { newName, until } from "../cli/run-cli.ts";
import { type BusProcess, spawnBus, startBus } from "../start-bus.ts";
import { type Caller, overHttp1, overHttp2 } from "../wire/http-calls.ts";
import { openDescriptors, residentMemory } from "../wire/process-figures.ts";
import { type HostKind, hosts, onStdio, overHttp, overHttp2025 } from "./hosts.ts";
import { answerIn, initialize, post, postAsNew, toolCall } from "./http-calls.ts";

/** An agent's first pull registers it: then its wait has begun. */
async function pulled(bus: BusProcess, agent: string): Promise<boolean> {
  const { agents } = await bus.ok("ListAgents", { query: agent });
  return agents.length > 0;
}

/** How many pulls wait, as the bus says when it stops. */
async function waitingAtTheEnd(bus: BusProcess): Promise<number> {
  await bus.stop();
  return Number(/"waiting":(\d+)/.exec(bus.log())?.[1]);
}

describe("a check_inbox that waits", () => {
  const leaving: Readonly<Record<string, HostKind>> = { "2026-07-28 over HTTP": overHttp, "on stdio": onStdio };

  test.each(Object.entries(leaving))("ends on the bus too when a host of %s calls it off", async (_, open) => {
    const bus = await spawnBus();
    const host = await open(bus, { agent: "jack" });
    const off = new AbortController();
    const waiting = host.call("check_inbox", { wait_seconds: 50 }, off.signal);
    waiting.catch(() => undefined);
    await until("jack waits", () => pulled(bus, "jack"));
    off.abort();
    await expect(waiting).rejects.toThrow();
    // Another one, which is not called off, is what the bus still counts.
    const other = await open(bus, { agent: "mia" });
    other.call("check_inbox", { wait_seconds: 50 }).catch(() => undefined);
    await until("mia waits", () => pulled(bus, "mia"));
    expect(await waitingAtTheEnd(bus)).toBe(1);
  });

  test.each(Object.entries(hosts))("ends on the bus too when a host of %s goes away", async (_, open) => {
    const bus = await spawnBus();
    const host = await open(bus, { agent: "jack" });
    host.call("check_inbox", { wait_seconds: 50 }).catch(() => undefined);
    await until("jack waits", () => pulled(bus, "jack"));
    await host.close();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await waitingAtTheEnd(bus)).toBe(0);
  });

  test("is answered, and is no error, when the bus shuts down", async () => {
    const bus = await spawnBus();
    const waits = [];
    for (const open of [overHttp, overHttp2025]) {
      const jack = newName("jack");
      waits.push((await open(bus, { agent: jack })).call("check_inbox", { wait_seconds: 50 }));
      await until("it waits", () => pulled(bus, jack));
    }
    const began = performance.now();
    await bus.stop();
    expect(performance.now() - began).toBeLessThan(5000);
    expect(bus.process.exitCode).toBe(0);
    for (const wait of waits) expect(await wait).toMatchObject({ isError: false, text: "No unread mail." });
  });
});

test("a bus without MCP hosts does not load what they need", async () => {
  const bus = await spawnBus();
  const before = residentMemory(bus.process.pid as number);
  await post(overHttp1(bus.port), initialize("2025-11-25"), { "x-bus-agent": "jack" });
  const after = residentMemory(bus.process.pid as number);
  process.stdout.write(`MCP: the first request takes ${(after - before).toFixed(1)} MiB\n`);
  expect(after - before).toBeGreaterThan(5);
});

test("a thousand requests leave nothing behind, of either generation, on kept and on new connections", {
  timeout: 120_000,
}, async () => {
  const bus = await startBus();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  onTestFinished(() => agent.destroy());
  const callers = [overHttp1(bus.port, agent), overHttp2(bus.port), overHttp1(bus.port)];
  const requests = async (count: number) => {
    for (let i = 0; i < count; i += 6) await Promise.all(callers.flatMap((call) => [askAsOld(call), askAsNew(call)]));
  };
  await requests(100);
  const before = { heap: heapInUse(), descriptors: openDescriptors(process.pid) };
  const began = performance.now();
  await requests(1000);
  const seconds = (performance.now() - began) / 1000;
  await new Promise((resolve) => setTimeout(resolve, 200)); // what is closing has closed
  const kib = (heapInUse() - before.heap) / 1024;
  const descriptors = openDescriptors(process.pid) - before.descriptors;
  process.stdout.write(
    `MCP: 1,000 requests in ${seconds.toFixed(1)} s: ${kib.toFixed(0)} KiB of heap and ${descriptors} descriptors more\n`,
  );
  // What one request needs is some 100 KiB: a hundredth of it, kept, would be a MiB here.
  expect(kib).toBeLessThan(4096);
  expect(descriptors).toBeLessThanOrEqual(1);
});

async function askAsOld(call: Caller): Promise<void> {
  const headers = { "x-bus-agent": "jack", "mcp-protocol-version": "2025-11-25" };
  expect(answerIn(await post(call, toolCall("check_inbox"), headers)).result.structuredContent.messages).toEqual([]);
}

async function askAsNew(call: Caller): Promise<void> {
  const reply = await postAsNew(call, toolCall("check_inbox"), { headers: { "x-bus-agent": "jack" } });
  expect(answerIn(reply).result.structuredContent.messages).toEqual([]);
}

/** Bytes, once all that can be freed is freed. */
function heapInUse(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}
