/**
 * Callers who are slow, half gone or gone, in both versions of HTTP, against a bus in a process of its own while others
 * are served: they keep nobody waiting, and nothing of theirs stays behind.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type BesiegedBus, besiegedBus } from "./besieged-bus.ts";
import { callHeaders, END_HEADERS, END_STREAM, frame, PREFACE, setting, Type, u32 } from "./http2-frames.ts";
import { openDescriptors } from "./process-figures.ts";
import { LOCAL, RawSocket, request } from "./raw-socket.ts";

const MIB = 1024 * 1024;

function pidOf(bus: BesiegedBus): number {
  return bus.process.pid as number;
}

describe("callers who are slow, or gone", () => {
  test("three hundred slow callers keep nobody waiting, and the silent ones are let go", async () => {
    const bus = await besiegedBus();
    const before = openDescriptors(pidOf(bus));
    const kinds = [
      "",
      "POST /api/send HTTP/1.1\r\nHo",
      `POST /api/send HTTP/1.1\r\n${LOCAL}Content-Length: 1000\r\n\r\n{"from":"slow",`,
      "PRI * HTTP/2.0\r\n",
      Buffer.concat([PREFACE, frame(Type.SETTINGS, 0, 0)]),
      Buffer.concat([
        PREFACE,
        frame(Type.SETTINGS, 0, 0),
        frame(Type.HEADERS, END_HEADERS, 1, callHeaders("Send", "application/json")),
      ]),
    ];
    const slow = await Promise.all(Array.from({ length: 300 }, () => RawSocket.open(bus.port)));
    for (const [n, socket] of slow.entries()) socket.send(kinds[n % kinds.length] as string);
    await bus.unharmed("slow callers");
    // A byte now and then shows life, and changes nothing.
    for (const [n, socket] of slow.entries()) if (n % kinds.length === 2) socket.send(" ");
    await bus.unharmed("slow callers who send a byte");
    const silent = slow.filter((_, n) => n % kinds.length === 0 || n % kinds.length === 3);
    for (const socket of silent) expect(await socket.until((it) => it.ended, 15_000)).toBe(true);
    for (const socket of slow) socket.destroy();
    await expect.poll(() => openDescriptors(pidOf(bus)), { timeout: 5000 }).toBeLessThan(before + 10);
    await bus.unharmed("slow callers who went");
  }, 60_000);

  test("survives callers who hang up while they ask or are answered, by an end or by a reset", async () => {
    const bus = await besiegedBus();
    for (let n = 0; n < 10; n++) await bus.ok("Send", { from: "joe", to: "heavy", body: "\u0001".repeat(100_000) });
    const look = JSON.stringify({ agent: "heavy", maxBytes: 3 * MIB });
    const h2 = (method: string, body: string) =>
      Buffer.concat([
        PREFACE,
        frame(Type.SETTINGS, 0, 0, setting(4, 0x7fffffff)),
        frame(Type.WINDOW_UPDATE, 0, 0, u32(0x7fff0000)),
        frame(Type.HEADERS, END_HEADERS, 1, callHeaders(method, "application/json")),
        frame(Type.DATA, END_STREAM, 1, Buffer.from(body)),
      ]);
    const asks: Record<string, string | Buffer> = {
      "a large answer": request("GET /api/inbox/heavy"),
      "a large answer of an RPC": request(
        "POST /agentbus.v1.MessageBus/PullInbox",
        look,
        "Content-Type: application/json\r\n",
      ),
      "a large answer over HTTP/2": h2("PullInbox", look),
      "a long poll": request("GET /api/inbox/nobody?wait_seconds=20"),
      "a long poll over HTTP/2": h2("PullInbox", '{"agent":"nobody","waitSeconds":20}'),
      "a Send": request("POST /api/send", '{"from":"joe","to":"hasty"}'),
      "a Send over HTTP/2": h2("Send", '{"from":"joe","to":"hasty"}'),
    };
    const before = openDescriptors(pidOf(bus));
    for (const [what, bytes] of Object.entries(asks)) {
      for (const wait of [0, 2, 10, 50]) {
        for (const leave of ["destroy", "reset", "finish"] as const) {
          const socket = await RawSocket.open(bus.port, { half: true });
          if (what.startsWith("a large")) socket.stopReading();
          socket.send(bytes);
          await sleep(wait);
          socket[leave]();
          if (leave === "finish") setTimeout(() => socket.destroy(), 20);
        }
      }
      await bus.unharmed(`callers who left ${what}`);
    }
    await expect.poll(() => openDescriptors(pidOf(bus)), { timeout: 5000 }).toBeLessThan(before + 10);
    expect((await bus.ok("PullInbox", { agent: "heavy", maxMessages: 20 })).messages).toHaveLength(10);
  });

  test("closes a half-open connection, on both sides", async () => {
    const bus = await besiegedBus();
    const before = openDescriptors(pidOf(bus));
    const beginnings = [
      "",
      "GET /heal",
      request("GET /healthz"),
      request("GET /api/inbox/nobody?wait_seconds=20"),
      PREFACE,
    ];
    const h2 = Buffer.concat([PREFACE, frame(Type.SETTINGS, 0, 0)]);
    for (const bytes of [...beginnings, h2]) {
      const socket = await RawSocket.open(bus.port, { half: true });
      socket.send(bytes);
      await sleep(20);
      socket.finish();
      expect(await socket.until((it) => it.ended, 3000), JSON.stringify(bytes.toString())).toBe(true);
    }
    await expect.poll(() => openDescriptors(pidOf(bus)), { timeout: 5000 }).toBeLessThan(before + 5);
    await bus.unharmed("half-open connections");
  });
});
