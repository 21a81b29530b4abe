/** Calls to /mcp as bare HTTP, for what no client of ours would send, and what every protocol version has in common. */
import type { Caller, Reply } from "../wire/http-calls.ts";

export const JSON_BOTH = { "content-type": "application/json", accept: "application/json, text/event-stream" };

export function initialize(protocolVersion: string) {
  const params = { protocolVersion, capabilities: {}, clientInfo: { name: "a-test", version: "1" } };
  return { jsonrpc: "2.0", id: 1, method: "initialize", params };
}

export function toolCall(name: string, input: object = {}) {
  return { jsonrpc: "2.0", id: 2, method: "tools/call", params: { name, arguments: input } };
}

/** One call of a tool, as a host of 2026-07-28 posts it: what a 2025 host settles once stands in each request. */
export function postAsNew(
  call: Caller,
  { params, ...message }: ReturnType<typeof toolCall>,
  { meta = {}, headers = {} }: { readonly meta?: object; readonly headers?: Record<string, string> } = {},
): Promise<Reply> {
  const envelope = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "a-test", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const named = { "mcp-protocol-version": "2026-07-28", "mcp-method": message.method, "mcp-name": params.name };
  return post(call, { ...message, params: { ...params, _meta: { ...envelope, ...meta } } }, { ...named, ...headers });
}

/** One JSON-RPC message, as a 2025 host posts it. */
export function post(call: Caller, message: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  return call({ path: "/mcp", headers: { ...JSON_BOTH, ...headers }, body: JSON.stringify(message) });
}

/** The JSON-RPC answer in a reply, whether it came as JSON or as a stream of events. */
export function answerIn({ headers, body }: Reply): any {
  const text = body.toString();
  if (!headers["content-type"]?.startsWith("text/event-stream")) return JSON.parse(text);
  const data = text.split("\n").findLast((line) => line.startsWith("data: ")) ?? "";
  return JSON.parse(data.slice("data: ".length));
}
