/** Doors that another room brings, here such as fail: what their callers see of it. */
import { describe, expect, onTestFinished, test } from "vitest";
import { readSettings } from "#dist/config.js";
import { createLog } from "#dist/server/log.js";
import type { Mounts } from "#dist/server/mounted-door.js";
import { startServer } from "#dist/server/start-server.js";
import { temporaryFolder } from "../start-bus.ts";
import { overHttp1, overHttp2 } from "./http-calls.ts";
import { connectError } from "./rpc-forms.ts";

/** More than a connection takes at once. */
const PIECE_BYTES = 256 * 1024;
const JACK = { "x-bus-agent": "jack" };

async function startWith(mounts: Mounts): Promise<number> {
  const settings = readSettings({ port: "0", store: `sqlite:${temporaryFolder()}/bus.db` }, {});
  const { port, close } = await startServer(settings, createLog("silent"), mounts);
  onTestFinished(close);
  return port;
}

/** Begins to answer, and fails before the end. */
function breakingOff(): Response {
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode("begun")),
    pull: (controller) => controller.error(new Error("a defect")),
  });
  return new Response(body);
}

test("a mounted door that answers at length leaves nothing behind for each time that it waits for its reader", async () => {
  const warnings: string[] = [];
  const listen = ({ message }: Error) => warnings.push(message);
  process.on("warning", listen);
  onTestFinished(() => void process.off("warning", listen));
  const pieces = 40;
  const long = () => {
    let left = pieces;
    const pull = (controller: ReadableStreamDefaultController) => {
      if (left-- > 0) controller.enqueue(new Uint8Array(PIECE_BYTES));
      else controller.close();
    };
    return new Response(new ReadableStream({ pull }));
  };
  const port = await startWith({ "/door": async () => long() });
  for (const call of [overHttp1(port), overHttp2(port)]) {
    expect((await call({ path: "/door", headers: JACK })).body).toHaveLength(pieces * PIECE_BYTES);
  }
  expect(warnings).toEqual([]);
});

describe("a mounted door that fails", () => {
  test("before it answers is internal, with an id", async () => {
    const port = await startWith({ "/door": () => Promise.reject(new Error("a defect")) });
    for (const call of [overHttp1(port), overHttp2(port)]) {
      const { status, body } = await call({ path: "/door", headers: JACK });
      const { code, message } = connectError(body.toString());
      expect([status, code, message]).toEqual([500, "internal", expect.stringMatching(/^internal error [\w-]{36}; /)]);
    }
  });

  test("amid its answer breaks it off: nobody waits for the rest, or takes it for whole", async () => {
    const port = await startWith({ "/door": async () => breakingOff() });
    for (const call of [overHttp1(port), overHttp2(port)]) {
      await expect(call({ path: "/door", headers: JACK })).rejects.toThrow();
    }
  });
});
