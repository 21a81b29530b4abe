/**
 * Takes every HTTP request to its door and gives every failure a Connect body. It knows paths, not what lies behind them.
 */
import { requireAdmin } from "../permissions.ts";
import type { Admission } from "./admission.ts";
import { isGone, writeAnswer } from "./answer.ts";
import { compatInbox, compatSend } from "./compat.ts";
import type { Cors } from "./cors.ts";
import { errorAnswerOf, HttpError } from "./error-answer.ts";
import { codeOf } from "./error-codes.ts";
import { frontPage } from "./front-page.ts";
import type { Health } from "./health.ts";
import type { Logger } from "./log.ts";
import { COMPAT_INBOX, COMPAT_SEND } from "./metrics.ts";
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
  readonly log: Logger;
}

/** A host with an optional port, or an address in brackets: what a URL can be made of (RFC 9110, 7.2). */
const AUTHORITY = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]+)(:\d{0,5})?$/;

export function createHttpDoor({ methods, rpc, admission, cors, health, secure, log }: HttpDoorParts): HttpHandler {
  const { metrics } = methods;
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

  async function serve(request: HttpRequest, response: HttpResponse): Promise<void> {
    const header = (name: string) => headerOf(request, name);
    // Before anything can fail: a page may read why.
    for (const [name, value] of cors.headersFor(header("origin"))) response.setHeader(name, value);
    // A browser asks before it sends a token along: there is nobody to admit.
    const preflight = request.method === "OPTIONS" ? cors.preflight(header) : undefined;
    if (preflight !== undefined) return writeAnswer(response, preflight);
    const url = parseTarget(request);
    const path = url.pathname;
    if (rpc.serves(path)) return rpc.serve(path, request, response);
    if (path === "/healthz" || path === "/readyz") {
      requireMethod(request, "GET", "HEAD");
      return writeAnswer(response, path === "/healthz" ? health.alive() : await health.ready());
    }
    if (path === "/") {
      requireMethod(request, "GET", "HEAD");
      return writeAnswer(response, frontPage({ header, secure, token: !admission.open }));
    }
    const address = request.socket.remoteAddress ?? "";
    if (path === "/metrics") {
      requireAdmin(await admission.identify(header, address), "GET /metrics");
      requireMethod(request, "GET", "HEAD");
      return writeAnswer(response, await metrics.scrape());
    }
    if (path === COMPAT_SEND) {
      return counted(COMPAT_SEND, async () => {
        const who = await admission.admit(header, address);
        requireMethod(request, "POST");
        return compatSend(methods, who, request, response);
      });
    }
    const [, encoded] = /^\/api\/inbox\/([^/]+)$/.exec(path) ?? [];
    if (encoded !== undefined) {
      return counted(COMPAT_INBOX, async () => {
        const who = await admission.admit(header, address);
        requireMethod(request, "GET");
        const stillAdmitted = () => admission.confirm(header);
        return compatInbox(methods, who, { agent: decode(encoded), query: url.searchParams, stillAdmitted }, response);
      });
    }
    await admission.admit(header, address);
    if (path === "/openapi.json") {
      requireMethod(request, "GET", "HEAD");
      return writeAnswer(response, await openapiAnswer());
    }
    throw new HttpError(404, {
      reason: "UNIMPLEMENTED",
      advice: `there is nothing at ${path.slice(0, 70)}; try POST /agentbus.v1.MessageBus/Send, POST /api/send or GET /api/inbox/NAME; GET / explains the bus`,
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
