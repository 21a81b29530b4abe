/**
 * MCP hosts as they are in the field: the official client in its new line (protocol 2026-07-28) and its old one (2025), each
 * on stdio, with the real command, and over HTTP. Each is closed when the test ends.
 */
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as Stdio1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as Http1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { onTestFinished } from "vitest";
import { MAIN } from "../cli/run-cli.ts";
import type { TestBus } from "../start-bus.ts";

/** What a model gets: hosts show it either the text or the data. */
export interface ToolResult {
  readonly text: string;
  readonly data: any;
  readonly isError: boolean;
}

export interface Host {
  /** Of the protocol, as negotiated. */
  readonly version: string | undefined;
  readonly instructions: string | undefined;
  listTools(): Promise<any[]>;
  call(tool: string, input?: Record<string, unknown>, signal?: AbortSignal): Promise<ToolResult>;
  close(): Promise<void>;
}

export interface HostOptions {
  readonly agent?: string;
  readonly token?: string;
  /** Further headers, or variables of the environment. */
  readonly headers?: Record<string, string>;
  readonly env?: Record<string, string>;
}

export type HostKind = (bus: Pick<TestBus, "url">, options: HostOptions) => Promise<Host>;

const NEW = "2026-07-28";
const INFO = { name: "a-test", version: "1" };

export const hosts: Readonly<Record<string, HostKind>> = {
  "2026-07-28 on stdio": (bus, options) => newHost(new StdioClientTransport(command(bus, options))),
  "2026-07-28 over HTTP": (bus, options) => newHost(new StreamableHTTPClientTransport(address(bus), init(options))),
  "2025-11-25 on stdio": (bus, options) => oldHost(new Stdio1(command(bus, options))),
  "2025-11-25 over HTTP": (bus, options) => oldHost(new Http1(address(bus), init(options))),
};

export const overHttp = hosts["2026-07-28 over HTTP"] as HostKind;
export const overHttp2025 = hosts["2025-11-25 over HTTP"] as HostKind;
export const onStdio = hosts["2026-07-28 on stdio"] as HostKind;

function command({ url }: Pick<TestBus, "url">, { agent, token, env = {} }: HostOptions) {
  const named = { AGENTBUS_URL: url, ...(agent && { AGENTBUS_AGENT: agent }), ...(token && { AGENTBUS_TOKEN: token }) };
  return {
    command: process.execPath,
    args: [MAIN, "mcp"],
    env: { ...named, AGENTBUS_OUTBOX: "off", ...env },
    stderr: "inherit" as const,
  };
}

function address({ url }: Pick<TestBus, "url">): URL {
  return new URL("/mcp", url);
}

function init({ agent, token, headers = {} }: HostOptions) {
  const own = { ...(agent && { "X-Bus-Agent": agent }), ...(token && { Authorization: `Bearer ${token}` }) };
  return { requestInit: { headers: { ...own, ...headers } } };
}

async function newHost(transport: StdioClientTransport | StreamableHTTPClientTransport): Promise<Host> {
  const client = new Client(INFO, { versionNegotiation: { mode: { pin: NEW } } });
  onTestFinished(() => client.close());
  await client.connect(transport);
  return {
    version: client.getNegotiatedProtocolVersion(),
    instructions: client.getInstructions(),
    listTools: async () => (await client.listTools()).tools,
    call: async (name, input = {}, signal) =>
      toolResult(await client.callTool({ name, arguments: input }, signal && { signal })),
    close: () => client.close(),
  };
}

async function oldHost(transport: Stdio1 | Http1): Promise<Host> {
  const client = new Client1(INFO);
  onTestFinished(() => client.close());
  let version: string | undefined;
  // The old line tells the transport and nobody else.
  const tell = transport instanceof Http1 ? transport.setProtocolVersion.bind(transport) : () => undefined;
  Object.assign(transport, {
    setProtocolVersion: (negotiated: string) => {
      version = negotiated;
      tell(negotiated);
    },
  });
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  return {
    version,
    instructions: client.getInstructions(),
    listTools: async () => (await client.listTools()).tools,
    call: async (name, input = {}, signal) =>
      toolResult(await client.callTool({ name, arguments: input }, undefined, signal && { signal })),
    close: () => client.close(),
  };
}

function toolResult({ content, structuredContent, isError }: any): ToolResult {
  return {
    text: content.map(({ text }: { text: string }) => text).join("\n"),
    data: structuredContent,
    isError: isError === true,
  };
}
