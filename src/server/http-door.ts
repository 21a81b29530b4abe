/**
 * Takes every HTTP request to its door and gives every failure a Connect body. It knows paths, not what lies behind them.
 */
import type { Duplex } from "node:stream";
import { MessageBus } from "#gen/agentbus/v1/message_bus_pb.js";
import { requireAdmin } from "../permissions.ts";
import { type Admission, type HeaderOf, tokenIn } from "./admission.ts";
import { cutShort, isGone, writeAnswer } from "./answer.ts";
import { compatInbox, compatSend } from "./compat.ts";
import type { Cors } from "./cors.ts";
import { errorAnswerOf, HttpError } from "./error-answer.ts";
import { codeOf } from "./error-codes.ts";
import { frontPage } from "./front-page.ts";
import type { Health } from "./health.ts";
import type { Logger } from "./log.ts";
import { COMPAT_INBOX, COMPAT_SEND } from "./metrics.ts";
import { type Mounts, serveMounted } from "./mounted-door.ts";
import { type HttpHandler, type HttpRequest, type HttpResponse, headerOf } from "./one-port.ts";
import { openapiAnswer } from "./openapi.ts";
import type { MethodParts } from "./rpc.ts";
import type { RpcDoor } from "./rpc-door.ts";

export interface HttpDoorParts {
  readonly methods: MethodParts;
  readonly rpc: RpcDoor;
  readonly admission: Admission;
  readonly cors: Cors;
  readonly health: Health;
  /** It serves TLS, and nothing plain. */
  readonly secure: boolean;
  readonly mounts: Mounts;
  /** A connection to this very door. */
  readonly connect: () => Duplex;
  readonly log: Logger;
}

/** A host with an optional port, or an address in brackets: what a URL can be made of (RFC 9110, 7.2). */
const AUTHORITY = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]+)(:\d{0,5})?$/;

const OTHER_METHODS = MessageBus.methods
  .map(({ name }) => name)
  .filter((name) => name !== "Send")
  .join(", ");

/** One request, as its door gets it. */
interface Visit {
  readonly request: HttpRequest;
  readonly response: HttpResponse;
  readonly url: URL;
  readonly header: HeaderOf;
  /** The caller's, as the connection has it. */
  readonly address: string;
}

type Door = (visit: Visit) => void | Promise<void>;

export function createHttpDoor(parts: HttpDoorParts): HttpHandler {
  const { methods, rpc, admission, cors, health, secure, mounts, connect, log } = parts;
  const { metrics } = methods;
  const admit = ({ header, address }: Visit) => admission.admit(header, address);

  /** Doors with one path each. */
  const doors: Readonly<Record<string, Door>> = {
    "/": ({ request, response, header }) => {
      requireMethod(request, "GET", "HEAD");
      writeAnswer(response, frontPage({ header, secure, token: !admission.open }));
    },
    "/healthz": ({ request, response }) => {
      requireMethod(request, "GET", "HEAD");
      writeAnswer(response, health.alive());
    },
    "/readyz": async ({ request, response }) => {
      requireMethod(request, "GET", "HEAD");
      writeAnswer(response, await health.ready());
    },
    "/metrics": async ({ request, response, header, address }) => {
      requireAdmin(await admission.identify(header, address), "GET /metrics");
      requireMethod(request, "GET", "HEAD");
      writeAnswer(response, await metrics.scrape());
    },
    "/openapi.json": async (visit) => {
      await admit(visit);
      requireMethod(visit.request, "GET", "HEAD");
      writeAnswer(visit.response, await openapiAnswer());
    },
    [COMPAT_SEND]: (visit) =>
      counted(COMPAT_SEND, async () => {
        const who = await admit(visit);
        requireMethod(visit.request, "POST");
        await compatSend(methods, who, visit.request, visit.response);
      }),
    ...Object.fromEntries(Object.entries(mounts).map(([path, mounted]) => [path, doorOf(mounted)])),
  };

  function inbox(encoded: string): Door {
    return (visit) =>
      counted(COMPAT_INBOX, async () => {
        const { header, url } = visit;
        const who = await admit(visit);
        requireMethod(visit.request, "GET");
        const stillAdmitted = () => admission.confirm(header);
        const asked = { agent: decode(encoded), query: url.searchParams, stillAdmitted };
        await compatInbox(methods, who, asked, visit.response);
      });
  }

  function doorOf(mounted: Mounts[string]): Door {
    return async (visit) => {
      const { request, response, header, url } = visit;
      const who = await admit(visit);
      requireMethod(request, "POST");
      const call = { who, named: header("x-bus-agent"), token: tokenIn(header), url, connect };
      await serveMounted(mounted, call, request, response);
    };
  }

  async function nowhere(visit: Visit): Promise<void> {
    await admit(visit);
    throw new HttpError(404, {
      reason: "UNIMPLEMENTED",
      advice: `there is nothing at ${visit.url.pathname.slice(0, 70)}; try POST /agentbus.v1.MessageBus/Send (or ${OTHER_METHODS}), POST /api/send or GET /api/inbox/NAME; GET / explains the bus`,
    });
  }

  /** As an RPC is by its own door. */
  async function counted(rpc: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      metrics.answered(rpc, undefined);
    } catch (error) {
      metrics.answered(rpc, codeOf(error));
      throw error;
    }
  }

  function doorAt(path: string): Door {
    if (Object.hasOwn(doors, path)) return doors[path] as Door;
    const [, encoded] = /^\/api\/inbox\/([^/]+)$/.exec(path) ?? [];
    return encoded === undefined ? nowhere : inbox(encoded);
  }

  async function serve(request: HttpRequest, response: HttpResponse): Promise<void> {
    const header: HeaderOf = (name) => headerOf(request, name);
    // Before anything can fail: a page may read why.
    for (const [name, value] of cors.headersFor(header("origin"))) response.setHeader(name, value);
    // Mail is for who asked, and a cache in between does not know our header for the token.
    if (request.method !== "POST") response.setHeader("cache-control", "no-store");
    // A browser asks before it sends a token along: there is nobody to admit.
    const preflight = request.method === "OPTIONS" ? cors.preflight(header) : undefined;
    if (preflight !== undefined) return writeAnswer(response, preflight);
    const url = parseTarget(request);
    if (rpc.serves(url.pathname)) return rpc.serve(url.pathname, request, response);
    await doorAt(url.pathname)({ request, response, url, header, address: request.socket.remoteAddress ?? "" });
  }

  return (request: HttpRequest, response: HttpResponse): void => {
    const began = performance.now();
    // An error of a connection has nowhere to go: its call ends by "close". Without a listener it would end the process.
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    response.once("close", () => {
      const { method, url, httpVersion: http } = request;
      const path = url?.split("?", 1)[0];
      const { "content-type": type, "user-agent": client } = request.headers;
      const ms = Math.round(performance.now() - began);
      log.debug({ method, path, http, type, client, status: response.statusCode, ms }, "request");
    });
    serve(request, response).catch((error: unknown) => {
      if (isGone(response)) return;
      const answer = errorAnswerOf(error, `${request.method} ${request.url?.split("?", 1)[0]}`, log);
      if (response.headersSent) cutShort(response);
      else writeAnswer(response, answer);
    });
  };
}

/** Throws for a Host or path that no URL can be made of: connect-node would throw, and end the process, later. */
function parseTarget(request: HttpRequest): URL {
  const authority = headerOf(request, "host");
  if (authority === undefined || !AUTHORITY.test(authority)) {
    throw new HttpError(400, {
      reason: "INVALID_FIELD",
      advice: authority === undefined ? "the Host header is missing" : "the Host header is not a host and port",
    });
  }
  if ("headersDistinct" in request && (request.headersDistinct["host"]?.length ?? 0) > 1) {
    throw new HttpError(400, { reason: "INVALID_FIELD", advice: "there is more than one Host header" });
  }
  // Not relative to the host: a path such as //other/healthz would name another one.
  const url = request.url?.startsWith("/") ? URL.parse(`http://${authority}${request.url}`) : null;
  if (url === null) throw new HttpError(400, { reason: "INVALID_FIELD", advice: "the request's path is not one" });
  return url;
}

function requireMethod(request: HttpRequest, ...allowed: string[]): void {
  if (allowed.includes(request.method ?? "")) return;
  const advice = `${request.method} is not served here; use ${allowed[0]}`;
  throw new HttpError(405, { reason: "UNIMPLEMENTED", advice }, { allow: allowed.join(", ") });
}

function decode(component: string): string {
  try {
    return decodeURIComponent(component);
  } catch {
    throw new HttpError(400, { reason: "INVALID_FIELD", advice: "the agent's name in the path is not valid UTF-8" });
  }
}
