/**
 * Takes every HTTP request to its door and gives every failure a Connect body. It knows paths, not what lies behind them.
 */
import type { Duplex } from "node:stream";
import { type Admission, tokenIn } from "./admission.ts";
import { isGone, writeAnswer } from "./answer.ts";
import { compatInbox, compatSend } from "./compat.ts";
import { errorAnswerOf, HttpError } from "./error-answer.ts";
import type { Health } from "./health.ts";
import type { Logger } from "./log.ts";
import { type HttpHandler, type HttpRequest, type HttpResponse, headerOf } from "./one-port.ts";
import { type Mounts, serveMounted } from "./mounted-door.ts";
import type { MethodParts } from "./rpc.ts";
import type { RpcDoor } from "./rpc-door.ts";

export interface HttpDoorParts {
  readonly methods: MethodParts;
  readonly rpc: RpcDoor;
  readonly admission: Admission;
  readonly health: Health;
  readonly mounts: Mounts;
  /** A connection to this very door. */
  readonly connect: () => Duplex;
  readonly log: Logger;
}

/** A host with an optional port, or an address in brackets: what a URL can be made of (RFC 9110, 7.2). */
const AUTHORITY = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]+)(:\d{0,5})?$/;

export function createHttpDoor({ methods, rpc, admission, health, mounts, connect, log }: HttpDoorParts): HttpHandler {
  return (request: HttpRequest, response: HttpResponse): void => {
    const began = performance.now();
    // An error of a connection has nowhere to go: its call ends by "close". Without a listener it would end the process.
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    response.once("close", () => {
      const { method, url } = request;
      const path = url?.split("?", 1)[0];
      log.debug({ method, path, status: response.statusCode, ms: Math.round(performance.now() - began) }, "request");
    });
    serve(request, response).catch((error: unknown) => {
      if (!isGone(response))
        writeAnswer(response, errorAnswerOf(error, `${request.method} ${request.url?.split("?", 1)[0]}`, log));
    });
  };

  async function serve(request: HttpRequest, response: HttpResponse): Promise<void> {
    const url = parseTarget(request);
    const path = url.pathname;
    if (rpc.serves(path)) return rpc.serve(path, request, response);
    if (path === "/healthz" || path === "/readyz") {
      requireMethod(request, "GET", "HEAD");
      return writeAnswer(response, path === "/healthz" ? health.alive() : await health.ready());
    }
    const header = (name: string) => headerOf(request, name);
    const who = await admission.admit(header, request.socket.remoteAddress ?? "");
    if (path === "/api/send") {
      requireMethod(request, "POST");
      return compatSend(methods, who, request, response);
    }
    const [, encoded] = /^\/api\/inbox\/([^/]+)$/.exec(path) ?? [];
    if (encoded !== undefined) {
      requireMethod(request, "GET");
      const stillAdmitted = () => admission.confirm(header);
      return compatInbox(methods, who, { agent: decode(encoded), query: url.searchParams, stillAdmitted }, response);
    }
    const mounted = Object.hasOwn(mounts, path) ? mounts[path] : undefined;
    if (mounted !== undefined) {
      const visit = { who, named: header("x-bus-agent"), token: tokenIn(header), url, connect };
      return serveMounted(mounted, visit, request, response);
    }
    throw new HttpError(404, {
      reason: "UNIMPLEMENTED",
      advice: `there is nothing at ${path.slice(0, 70)}; try POST /agentbus.v1.MessageBus/Send, POST /api/send or GET /api/inbox/NAME`,
    });
  }
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
