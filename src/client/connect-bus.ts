/**
 * Gives a typed client of one bus, whichever of its nodes can be reached. It knows addresses, the token and deadlines;
 * it must not know settings, commands or how an error is shown to a person.
 */
import * as http from "node:http";
import * as https from "node:https";
import type { Duplex } from "node:stream";
import { type Client, Code, ConnectError, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { MessageBus } from "#gen/agentbus/v1/message_bus_pb.js";
import { isRepeatable } from "./repeatable.ts";
import { type Attempt, UnreachableError } from "./unreachable-error.ts";

/** A node that is switched off answers nothing at all: without a limit of its own, connecting would eat the deadline. */
const CONNECT_TIMEOUT_MS = 3000;
/** The largest answers hold 3 MiB of text, a page of a thousand agents about one. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

export interface BusAddress {
  /** Of the nodes of one bus, in the order of preference; at least one. */
  readonly urls: readonly string[];
  readonly token?: string | undefined;
  /** Gives connections to the one bus instead of dialing its URL: for who lives in its process. */
  readonly connect?: (() => Duplex) | undefined;
  /** Deadline of a call that brings none of its own. Absent: none. */
  readonly timeoutMs?: number | undefined;
}

export type MessageBusClient = Client<typeof MessageBus>;

/** Connects nothing yet: the first call does. Every call is made once. Throws an Error if the token can't be sent. */
export function connectBus(address: BusAddress): MessageBusClient {
  return createClient(MessageBus, openTransport(address).transport);
}

export interface OpenTransport {
  readonly transport: Transport;
  /** Cuts every connection. */
  readonly close: () => void;
}

/** The same without methods, for who puts something of its own around every call. */
export function openTransport(address: BusAddress): OpenTransport {
  const interceptors = address.token === undefined ? [] : [withToken(address.token)];
  const nodes = address.urls.map((url) => ({ url, ...nodeTransport(url, address, interceptors) }));
  return {
    transport: overNodes(nodes),
    close: () => {
      for (const node of nodes) node.close();
    },
  };
}

interface Node {
  readonly url: string;
  readonly transport: Transport;
  /** True for an error that arose before there was a connection: the request never left. */
  readonly neverConnected: (error: Error) => boolean;
  readonly close: () => void;
}

function withToken(token: string): Interceptor {
  // Checked here because the error of Headers.set would show the token.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Error("the token must be visible ASCII characters without spaces");
  return (next) => (request) => {
    request.header.set("X-Bus-Token", token);
    return next(request);
  };
}

function nodeTransport(
  url: string,
  { timeoutMs, connect }: BusAddress,
  interceptors: Interceptor[],
): Omit<Node, "url"> {
  const secure = url.startsWith("https:");
  const keepAlive = { keepAlive: true };
  const agent = connect ? givenConnections(connect) : secure ? new https.Agent(keepAlive) : new http.Agent(keepAlive);
  const neverConnected = watchConnecting(agent, secure ? "secureConnect" : "connect");
  const transport = createConnectTransport({
    baseUrl: url,
    httpVersion: "1.1",
    nodeOptions: { agent },
    readMaxBytes: MAX_ANSWER_BYTES,
    interceptors,
    ...(timeoutMs === undefined ? {} : { defaultTimeoutMs: timeoutMs }),
  });
  return { transport, neverConnected, close: () => agent.destroy() };
}

/** One connection a call: keeping one alive is for sockets alone. */
function givenConnections(connect: () => Duplex): http.Agent {
  const agent = new http.Agent();
  agent.createConnection = () => {
    const connection = connect();
    // It stands already, and Connect waits to be told so.
    setImmediate(() => connection.emit("connect"));
    return connection;
  };
  return agent;
}

/** Bounds the time of connecting, and remembers which errors came before a connection stood. */
function watchConnecting(agent: http.Agent, connected: "connect" | "secureConnect"): (error: Error) => boolean {
  const early = new WeakSet<Error>();
  const create = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    const socket = create(options, callback);
    if (!socket) return socket;
    const remember = (error: Error) => early.add(error);
    const timer = setTimeout(() => {
      socket.destroy(new Error(`no connection within ${CONNECT_TIMEOUT_MS / 1000} s`));
    }, CONNECT_TIMEOUT_MS);
    socket.once("error", remember);
    socket.once("close", () => clearTimeout(timer));
    socket.once(connected, () => {
      clearTimeout(timer);
      socket.off("error", remember);
    });
    return socket;
  };
  return (error) => early.has(error);
}

/**
 * Tries the next node only where the request never left, or where the answer was UNAVAILABLE and a repeat does no
 * harm. A connection lost in the middle is the caller's to judge.
 */
function overNodes(nodes: readonly Node[]): Transport {
  // Where the last call was answered the next one starts: page tokens stay at one node, a dead one costs its time once.
  let preferred = 0;
  return {
    async unary(method, signal, timeoutMs, header, request, contextValues) {
      // Over all nodes; one that is switched off takes its share of it.
      const end = timeoutMs === undefined || timeoutMs <= 0 ? undefined : performance.now() + timeoutMs;
      const first = preferred;
      const attempts: Attempt[] = [];
      let refusal: ConnectError | undefined;
      for (let tried = 0; tried < nodes.length; tried++) {
        const index = (first + tried) % nodes.length;
        const node = nodes[index];
        if (node === undefined) break;
        try {
          // Connect takes 0 for no deadline.
          const leftMs = end === undefined ? timeoutMs : Math.max(1, Math.ceil(end - performance.now()));
          const answer = await node.transport.unary(method, signal, leftMs, header, request, contextValues);
          preferred = index;
          return answer;
        } catch (error) {
          if (!(error instanceof ConnectError)) throw error;
          const attempt = failedAttempt(node, error);
          if (attempt === undefined && error.code !== Code.Unavailable) throw error;
          if (attempt === undefined) refusal = error;
          else attempts.push(attempt);
          // Whoever repeats the call should not meet the node again that hangs or broke it off.
          if (attempt?.mayHaveArrived) preferred = (index + 1) % nodes.length;
          const neverLeft = attempt?.mayHaveArrived === false;
          if (attempt?.tryNext === false || !(neverLeft || isRepeatable(method, request))) break;
        }
      }
      // What a node said in words tells more than that another one was silent.
      throw refusal ?? new UnreachableError(attempts);
    },
    stream(...call) {
      const node = nodes[preferred];
      if (node === undefined) throw new UnreachableError([]);
      return node.transport.stream(...call);
    },
  };
}

/** What went wrong, if no bus answered at all; undefined: a bus said no, or the caller gave up. */
function failedAttempt(node: Node, error: ConnectError): (Attempt & { readonly tryNext: boolean }) | undefined {
  if (error.code === Code.Canceled) return undefined;
  if (error.code === Code.DeadlineExceeded) {
    return { url: node.url, why: "no answer in time", mayHaveArrived: true, tryNext: false };
  }
  if (error.cause instanceof Error) {
    const { cause } = error;
    const why = "code" in cause && typeof cause.code === "string" ? cause.code : cause.message;
    // In a TLS handshake it is Connect's own error that the socket is ended with.
    const neverLeft = node.neverConnected(cause) || node.neverConnected(error);
    return { url: node.url, why, mayHaveArrived: !neverLeft, tryNext: neverLeft };
  }
  // Connect's own words, or none, for an answer without a Connect body, which no bus gives: a proxy without its bus
  // (then the next node may be better off), or another server.
  if (/^(HTTP \d+|unsupported content type .*)?$/.test(error.rawMessage)) {
    const isProxy = error.code === Code.Unavailable;
    return {
      url: node.url,
      why: `not a bus: ${error.rawMessage || "HTTP"}`,
      mayHaveArrived: isProxy,
      isOther: !isProxy,
      tryNext: isProxy,
    };
  }
  return undefined;
}
