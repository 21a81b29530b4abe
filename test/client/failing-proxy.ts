/**
 * A network between a client and its bus that fails where a test says: it answers in the bus's stead, or cuts the
 * connection before the bus has the request or after it has answered. It knows HTTP and nothing above it.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

export type Fate = "cut before" | "cut after" | { readonly status: number; readonly body: object } | undefined;

export interface FailingProxy {
  readonly url: string;
  /** Methods that were called, in order: "Send", "SendBatch". */
  readonly calls: string[];
}

/** `fateOf` is asked for every request; undefined: it goes through. */
export async function startFailingProxy(
  target: number,
  fateOf: (method: string, call: number) => Fate = () => undefined,
): Promise<FailingProxy> {
  const calls: string[] = [];
  const agent = new http.Agent({ keepAlive: true });
  const server = http.createServer(async (request, response) => {
    const method = request.url?.split("/").at(-1) ?? "";
    const fate = fateOf(method, calls.push(method));
    const body = await whole(request);
    if (fate === "cut before") return void response.destroy();
    if (typeof fate === "object") {
      response.writeHead(fate.status, { "content-type": "application/json" });
      return void response.end(JSON.stringify(fate.body));
    }
    const { headers } = request;
    const onward = http.request({ port: target, host: "127.0.0.1", agent, method: "POST", path: request.url, headers });
    onward.on("error", () => response.destroy());
    onward.on("response", async (answer) => {
      const answered = await whole(answer);
      if (fate === "cut after") return void response.destroy();
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.end(answered);
    });
    response.on("close", () => onward.destroy());
    onward.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
    agent.destroy();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls };
}

async function whole(message: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
