/**
 * A network between a caller and the bus that forwards every request and loses many of the answers: the connection is cut
 * before the bus has answered, after it, in the middle of what it answered; or before the bus has the request, which then
 * comes late, perhaps behind its own repeat. It knows HTTP and nothing above it.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished } from "vitest";
import type { Chance } from "../../wire/seeded-chance.ts";

const DELAY_MS = 15;
/** A request that is late comes after this at most. */
const LATE_MS = 150;
/** A caller who is cut off while the bus works is cut off within this. */
const HASTE_MS = 8;

const LOSSES = ["before the answer", "after the answer", "within the answer", "before the request"] as const;

export interface LossyProxy {
  readonly port: number;
  readonly forwarded: number;
  readonly lost: Readonly<Record<(typeof LOSSES)[number], number>>;
}

export async function startLossyProxy(target: number, loss: number, chance: Chance): Promise<LossyProxy> {
  const agent = new http.Agent({ keepAlive: true });
  const lost = Object.fromEntries(LOSSES.map((where) => [where, 0])) as Record<(typeof LOSSES)[number], number>;
  let forwarded = 0;

  const server = http.createServer(async (request, response) => {
    const fate = chance.next() < loss ? chance.pick(LOSSES) : undefined;
    if (fate !== undefined) lost[fate]++;
    forwarded++;
    const { method, url: path, headers } = request;
    const body = await whole(request);
    if (fate === "before the request") {
      response.destroy();
      await sleep(chance.integer(LATE_MS));
    }
    const onward = http.request({ port: target, host: "127.0.0.1", agent, method, path, headers });
    onward.on("error", () => response.destroy());
    onward.on("response", (answer) => void pass(answer, response, fate).catch(() => response.destroy()));
    onward.end(body);
    if (fate !== "before the answer" && fate !== "before the request") return;
    // The bus has the whole request, and sees its caller hang up.
    onward.on("finish", () =>
      setTimeout(() => {
        onward.destroy();
        response.destroy();
      }, chance.integer(HASTE_MS)),
    );
  });

  async function pass(answer: http.IncomingMessage, response: http.ServerResponse, fate: string | undefined) {
    const body = await whole(answer);
    if (fate === "after the answer") return void response.destroy();
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    if (fate === undefined) setTimeout(() => response.end(body), chance.integer(DELAY_MS));
    else if (!response.destroyed) response.write(body.subarray(0, body.length / 2), () => response.destroy());
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
    agent.destroy();
  });
  return {
    port: (server.address() as AddressInfo).port,
    get forwarded() {
      return forwarded;
    },
    lost,
  };
}

async function whole(message: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
