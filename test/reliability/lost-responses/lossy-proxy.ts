/**
 * A network between a caller and the bus that forwards every request and loses many of the answers: the connection is cut
 * before the bus has answered, after it, or in the middle of what it answered. It knows HTTP and nothing above it.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import type { Chance } from "../../wire/seeded-chance.ts";

const DELAY_MS = 15;
/** A caller who is cut off while the bus works is cut off within this. */
const HASTE_MS = 8;

const LOSSES = ["before the answer", "after the answer", "within the answer"] as const;

export interface LossyProxy {
  readonly port: number;
  readonly forwarded: number;
  readonly lost: Readonly<Record<(typeof LOSSES)[number], number>>;
}

export async function startLossyProxy(target: number, loss: number, chance: Chance): Promise<LossyProxy> {
  const agent = new http.Agent({ keepAlive: true });
  const lost = { "before the answer": 0, "after the answer": 0, "within the answer": 0 };
  let forwarded = 0;

  const server = http.createServer((request, response) => {
    const fate = chance.next() < loss ? chance.pick(LOSSES) : undefined;
    if (fate !== undefined) lost[fate]++;
    forwarded++;
    const { method, url: path, headers } = request;
    const onward = http.request({ port: target, host: "127.0.0.1", agent, method, path, headers });
    onward.on("error", () => response.destroy());
    onward.on("response", (answer) => void pass(answer, response, fate).catch(() => response.destroy()));
    request.pipe(onward);
    if (fate !== "before the answer") return;
    // The bus has the whole request, and sees its caller hang up.
    onward.on("finish", () =>
      setTimeout(() => {
        onward.destroy();
        response.destroy();
      }, chance.integer(HASTE_MS)),
    );
  });

  async function pass(answer: http.IncomingMessage, response: http.ServerResponse, fate: string | undefined) {
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    if (fate === "after the answer") return void response.destroy();
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    if (fate === undefined) setTimeout(() => response.end(body), chance.integer(DELAY_MS));
    else response.write(body.subarray(0, body.length / 2), () => response.destroy());
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
