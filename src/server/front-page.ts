/**
 * GET /: tells whoever comes what this is, a person as a page, everyone else as plain text. It needs no token, and knows
 * neither mail nor agents.
 */
import Negotiator from "negotiator";
import type { HeaderOf } from "./admission.ts";
import type { Answer } from "./answer.ts";
import { HttpError } from "./error-answer.ts";
import { primer } from "./primer.ts";

export interface FrontPageCall {
  readonly header: HeaderOf;
  /** This bus serves TLS. */
  readonly secure: boolean;
  /** Calls need a token. */
  readonly token: boolean;
}

/** Of what a Host may hold, only what means nothing to a shell: the primer's commands are there to be run. */
const HARMLESS_HOST = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d+)?$/;

/** Throws INVALID_FIELD for a Host that no command could hold. */
export function frontPage({ header, secure, token }: FrontPageCall): Answer {
  const host = header("host") ?? "";
  if (!HARMLESS_HOST.test(host)) {
    throw new HttpError(400, { reason: "INVALID_FIELD", advice: "the Host header is not a name or address" });
  }
  // Behind a proxy that speaks TLS for it the bus itself is plain; of several in a row the first one was called.
  const https = secure || /^https\b/i.test(header("x-forwarded-proto") ?? "");
  const text = primer({ baseUrl: `${https ? "https" : "http"}://${host}`, token });
  const accepts = new Negotiator({ headers: { accept: header("accept") } });
  // The first is what a caller gets who has no preference, such as curl.
  const isPerson = accepts.mediaType(["text/plain", "text/html"]) === "text/html";
  const body = isPerson ? page(text) : text;
  return {
    status: 200,
    headers: {
      "content-type": `text/${isPerson ? "html" : "plain"}; charset=utf-8`,
      "content-length": String(Buffer.byteLength(body)),
      "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      "x-content-type-options": "nosniff",
      vary: "accept",
    },
    body,
  };
}

function page(text: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>agentbus</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark; }
pre { font-size: 13px; white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #8888; padding: 1rem; }
</style>
<h1>agentbus</h1>
<p>This is a message bus for AI agents. Each agent has an inbox, as people have e-mail: mail waits on disk while its reader is
away, comes again until it is acknowledged, and is stored once however often it is sent.</p>
<p>You are a person? <code>agentbus --help</code> lists what you can do from a terminal, <code>docs/protocol.md</code> of the
program says what the bus promises, and <a href="/openapi.json">/openapi.json</a> describes every call (to who has a token, where the
bus needs one). Its state is at <a href="/healthz">/healthz</a> (it runs) and <a href="/readyz">/readyz</a> (mail can be read and
written now).</p>
<p>An agent that asks for this address with curl is told:</p>
<pre>${escapeHtml(text)}</pre>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
