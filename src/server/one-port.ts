/**
 * One TCP port for HTTP/1.1 and HTTP/2, plain with prior knowledge or over TLS: node has none built in, so the first bytes
 * decide. It knows connections and nothing of requests.
 */
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { type Duplex, duplexPair } from "node:stream";
import tls from "node:tls";
import type { TlsMaterial } from "./tls-files.ts";

export type HttpRequest = http.IncomingMessage | http2.Http2ServerRequest;
export type HttpResponse = http.ServerResponse | http2.Http2ServerResponse;
export type HttpHandler = (request: HttpRequest, response: HttpResponse) => void;

/** One header by its name in lower case; "host" is what HTTP/2 calls :authority. */
export function headerOf(request: HttpRequest, name: string): string | undefined {
  if (name === "host" && "authority" in request && request.authority) return request.authority;
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

export interface OnePortOptions {
  readonly handler: HttpHandler;
  /** Answers what is no HTTP request at all; a whole response as bytes. */
  readonly malformed: (error: NodeJS.ErrnoException) => string;
  /** undefined: plain. With it, nothing plain is served. */
  readonly tls: TlsMaterial | undefined;
}

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
/** A connection that sends nothing is closed after this long. */
const FIRST_BYTES_MS = 10_000;
const HEADERS_MS = 15_000;
/** For a whole request with its body. */
const REQUEST_MS = 60_000;
/** How often node looks for connections past these times. */
const TIMEOUT_CHECK_MS = 5000;
/** Longer than load balancers keep idle connections, or they answer 502 now and then (nodejs/node#20256). */
const KEEP_ALIVE_MS = 75_000;
const IDLE_SESSION_MS = 10 * 60_000;
/** One HTTP/2 connection may have this many calls open: a thousand agents behind one proxy may all wait. */
const MAX_STREAMS = 10_000;
const CLOSE_CHECK_MS = 20;
/** Between the last byte of a refused connection and its end: closed at once, the refusal could be lost in a reset. */
const LINGER_MS = 1000;

export class OnePortServer {
  readonly #http1: http.Server;
  readonly #http2: http2.Http2Server;
  readonly #tls: tls.Server | undefined;
  readonly #net: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #sessions = new Set<http2.Http2Session>();
  readonly #unknown = new Set<net.Socket>();
  /** Of each HTTP/1.1 connection: what is not answered yet, or answered before it was read whole. */
  readonly #open = new WeakMap<Duplex, Set<http.ServerResponse>>();
  readonly #malformed: OnePortOptions["malformed"];
  #closing = false;

  constructor({ handler, malformed, tls: material }: OnePortOptions) {
    this.#malformed = malformed;
    const serve = (request: http.IncomingMessage, response: http.ServerResponse) => {
      this.#follow(request, response);
      handler(request, response);
    };
    this.#http1 = http.createServer(
      {
        headersTimeout: HEADERS_MS,
        requestTimeout: REQUEST_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: TIMEOUT_CHECK_MS,
        // The handler answers a missing Host in the bus's own form.
        requireHostHeader: false,
      },
      serve,
    );
    this.#http1.on("clientError", (error, socket) => this.#refuse(error, socket));
    this.#http1.on("connect", (_, socket) => this.#refuse(new Error("CONNECT is for proxies"), socket));
    // An expectation other than 100-continue is passed over; node would answer it without a body.
    this.#http1.on("checkExpectation", serve);
    // Starts node's own timers for slow clients, which run only on a server that believes it listens.
    this.#http1.emit("listening");

    this.#http2 = http2.createServer({ settings: { maxConcurrentStreams: MAX_STREAMS } }, handler);
    this.#http2.on("connect", handler);
    this.#http2.on("checkExpectation", handler);
    this.#http2.on("session", (session) => {
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
      session.setTimeout(IDLE_SESSION_MS, () => session.close());
      if (this.#closing) session.close();
    });
    this.#http2.on("sessionError", () => undefined); // the session closes; its calls see that

    if (material !== undefined) {
      this.#tls = tls.createServer({ ...material, ALPNProtocols: ["h2", "http/1.1"] }, (socket) => this.#sniff(socket));
      this.#tls.on("tlsClientError", (_, socket) => socket.destroy());
    }
    // noDelay: without it a Go gRPC client made 23 calls a second, with it 760.
    this.#net = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  /** Resolves to the port. */
  listen(port: number, host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#net.once("error", reject);
      this.#net.listen(port, host, () => {
        this.#net.off("error", reject);
        this.#net.on("error", () => undefined); // accept() failed, such as for want of descriptors: others go on
        resolve((this.#net.address() as net.AddressInfo).port);
      });
    });
  }

  /** One end of a connection from within this process: HTTP/1.1 as from outside, but for the network and its TLS. */
  connect(): Duplex {
    const [near, far] = duplexPair();
    // Not every Node that runs this tells one end that the other one is gone.
    near.once("close", () => far.destroy());
    far.once("close", () => near.destroy());
    this.#http1.emit("connection", far);
    return near;
  }

  /** For connections from now on. Throws, and changes nothing, for a certificate that can't be used. */
  useTls(material: TlsMaterial): void {
    this.#tls?.setSecureContext(material);
  }

  /** Accepts nothing new, lets calls finish, and after `graceMs` cuts what is left. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    const closed = new Promise((resolve) => this.#net.close(resolve));
    for (const session of this.#sessions) session.close();
    for (const socket of this.#unknown) socket.destroy();
    const sweep = setInterval(() => this.#http1.closeIdleConnections(), CLOSE_CHECK_MS);
    const cut = setTimeout(() => {
      for (const session of this.#sessions) session.destroy();
      for (const socket of this.#sockets) socket.destroy();
    }, graceMs);
    await closed;
    clearInterval(sweep);
    clearTimeout(cut);
    this.#http1.close();
  }

  #follow(request: http.IncomingMessage, response: http.ServerResponse): void {
    const { socket } = request;
    const open = this.#open.get(socket) ?? new Set();
    this.#open.set(socket, open.add(response));
    response.once("close", () => {
      if (request.complete) open.delete(response);
      else request.once("close", () => open.delete(response));
    });
  }

  /** Answers bytes that are no request, unless that could be taken for the answer to a request before them. */
  #refuse(error: Error, socket: Duplex): void {
    if (socket.writableEnded) return;
    const open = [...(this.#open.get(socket) ?? [])];
    if (!socket.writable || open.some((response) => response.req.complete || response.headersSent)) {
      socket.destroy();
      return;
    }
    socket.end(this.#malformed(error));
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  }

  #accept(socket: net.Socket): void {
    if (this.#closing) return void socket.destroy();
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    if (this.#tls === undefined) this.#sniff(socket);
    else {
      socket.allowHalfOpen = false;
      this.#tls.emit("connection", socket);
    }
  }

  #sniff(socket: net.Socket): void {
    this.#unknown.add(socket);
    let bytes: Buffer = Buffer.alloc(0);
    const silent = setTimeout(() => socket.destroy(), FIRST_BYTES_MS);
    const drop = () => socket.destroy();
    const read = () => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      const length = Math.min(bytes.length, PREFACE.length);
      const maybe2 = PREFACE.compare(bytes, 0, length, 0, length) === 0;
      if (maybe2 && length < PREFACE.length) return; // could be either: wait for more
      settle();
      socket.off("error", drop);
      socket.unshift(bytes);
      // Node's HTTP/2 takes no notice of a FIN, and so of a caller who hung up, on a socket that may stay half open.
      if (maybe2) socket.allowHalfOpen = false;
      (maybe2 ? this.#http2 : this.#http1).emit("connection", socket);
    };
    const settle = () => {
      clearTimeout(silent);
      this.#unknown.delete(socket);
      socket.off("readable", read);
      socket.off("end", drop);
    };
    socket.on("error", drop);
    socket.on("readable", read);
    socket.on("end", drop);
    socket.once("close", settle);
  }
}
