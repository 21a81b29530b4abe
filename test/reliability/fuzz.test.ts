/** Tens of thousands of spoiled requests over every protocol: each is answered decently, and nobody else takes harm. */
import http from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { programme, report } from "../fixtures/programme.ts";
import { spawnBus } from "../start-bus.ts";
import { expectDecent } from "../wire/decent-refusal.ts";
import { overHttp1, overHttp2 } from "../wire/http-calls.ts";
import { refusedIn } from "../wire/rpc-forms.ts";
import { chanceOf } from "../wire/seeded-chance.ts";
import { Bystander } from "./fuzz/bystander.ts";
import { spoiled } from "./fuzz/spoil.ts";
import { IS_LONG, SEED } from "./settings.ts";

const REQUESTS = IS_LONG ? 1_000_000 : 20_000;
const AT_ONCE = 32;
const ROUND = 500;
const FORGET_EVERY = 10_000;
const ANSWER_MS = 20_000;
/** MiB, after a first quarter in which the process warms up. */
const MAX_GROWTH = 150;
/** A request that was spoiled may still be one; then the bus judges it as any other. */
const JUDGED = ["not_found", "already_exists", "failed_precondition", "unauthenticated"];

describe("a bus that is fuzzed", () => {
  test(`answers ${REQUESTS} spoiled requests decently and harms nobody`, { timeout: 14_400_000 }, () =>
    programme(async () => {
      const bus = await spawnBus();
      const bystander = new Bystander(bus);
      await bystander.settleIn();
      const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });
      onTestFinished(() => agent.destroy());
      const over1 = overHttp1(bus.port, agent);
      const over2 = overHttp2(bus.port);
      const outcomes: Record<string, number> = { taken: 0 };

      const ask = async (n: number) => {
        const { call, http2 } = spoiled(chanceOf((SEED + n) % 2 ** 32));
        let late: NodeJS.Timeout | undefined;
        const patience = new Promise<never>((_, reject) => {
          late = setTimeout(() => reject(new Error("no answer")), ANSWER_MS);
        });
        try {
          const refused = refusedIn(await Promise.race([http2 ? over2(call) : over1(call), patience]));
          if (refused !== undefined && !JUDGED.includes(refused.code)) expectDecent(refused, "");
          const outcome = refused?.code ?? "taken";
          outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        } catch (cause) {
          const { path, headers, body = "" } = call;
          const what = `${http2 ? "HTTP/2" : "HTTP/1.1"} ${path.slice(0, 500)} ${JSON.stringify(headers)}`;
          const bytes = JSON.stringify(Buffer.from(body).toString("latin1")).slice(0, 2000);
          throw new Error(`request ${n}: ${cause}\n${what}\n${bytes}`, { cause });
        } finally {
          clearTimeout(late);
        }
      };

      let next = 0;
      let removed = 0;
      let warm: number | undefined;
      let figures = await bystander.unharmed();
      const before = figures.descriptors;
      while (next < REQUESTS) {
        const end = Math.min(REQUESTS, next + ROUND);
        const first = next;
        await Promise.all(
          Array.from({ length: AT_ONCE }, async () => {
            while (next < end) await ask(next++);
          }),
        );
        figures = await bystander.unharmed().catch((cause: unknown) => {
          throw new Error(`requests ${first} to ${end - 1}: ${cause}`, { cause });
        });
        if (next >= REQUESTS / 4) warm ??= figures.memory;
        // Or each broadcast would go to all who ever sent, and take longer and longer.
        if (next % FORGET_EVERY === 0) removed += await bystander.removeStrangers();
      }
      report("fuzz", {
        requests: REQUESTS,
        ...Object.fromEntries(Object.entries(outcomes).sort(([, a], [, b]) => b - a)),
        "agents brought forth": removed,
        "MiB warm": Math.round(warm ?? 0),
        "MiB in the end": Math.round(figures.memory),
        descriptors: figures.descriptors,
      });
      // Not all fail at the door: a fuzz that never came in would find nothing inside.
      expect(outcomes["taken"]).toBeGreaterThan(REQUESTS / 20);
      expect(outcomes["invalid_argument"]).toBeGreaterThan(REQUESTS / 20);
      expect(figures.memory - (warm ?? 0)).toBeLessThan(MAX_GROWTH);
      expect(figures.descriptors).toBeLessThan(before + AT_ONCE + 10);
    }),
  );
});
