/** Generated clients of one bus, in every protocol on its port, over HTTP/1.1 and HTTP/2. */
import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { onTestFinished } from "vitest";
import { MessageBus } from "#gen/agentbus/v1/message_bus_pb.js";

export type MessageBusClient = Client<typeof MessageBus>;

/** By name of protocol and transport. `headers` go with every call; `ca` is the certificate that https is trusted by. */
export function clientsInEveryProtocol(
  bus: { url: string },
  headers: Readonly<Record<string, string>> = {},
  ca?: string,
): Readonly<Record<string, MessageBusClient>> {
  return Object.fromEntries(
    Object.entries(everyTransport(bus, headers, ca)).map(([name, transport]) => [
      name,
      createClient(MessageBus, transport),
    ]),
  );
}

/** The same, for other services than ours. */
export function everyTransport(
  { url: baseUrl }: { url: string },
  headers: Readonly<Record<string, string>> = {},
  ca?: string,
): Readonly<Record<string, Transport>> {
  const withHeaders: Interceptor = (next) => (request) => {
    for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
    return next(request);
  };
  const interceptors = [withHeaders];
  const trust = ca === undefined ? {} : { ca };
  const http1 = { baseUrl, httpVersion: "1.1", interceptors, nodeOptions: trust } as const;
  const http2 = () => {
    const sessionManager = new Http2SessionManager(baseUrl, undefined, trust);
    onTestFinished(() => sessionManager.abort());
    return { baseUrl, httpVersion: "2", interceptors, sessionManager } as const;
  };
  return {
    "Connect JSON over HTTP/1.1": createConnectTransport({ ...http1, useBinaryFormat: false }),
    "Connect JSON over HTTP/2": createConnectTransport({ ...http2(), useBinaryFormat: false }),
    "Connect binary over HTTP/1.1": createConnectTransport({ ...http1, useBinaryFormat: true }),
    "Connect binary over HTTP/2": createConnectTransport({ ...http2(), useBinaryFormat: true }),
    gRPC: createGrpcTransport(http2()),
    "gRPC with JSON": createGrpcTransport({ ...http2(), useBinaryFormat: false }),
    "gRPC-Web over HTTP/1.1": createGrpcWebTransport(http1),
    "gRPC-Web over HTTP/2": createGrpcWebTransport(http2()),
  };
}
