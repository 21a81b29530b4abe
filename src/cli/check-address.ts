/**
 * Tries one address of a bus step by step: name, connection, TLS, HTTP. It must not know tokens or agents, nor how its
 * findings are shown.
 */
import { lookup } from "node:dns/promises";
import * as http from "node:http";
import * as https from "node:https";
import { connect } from "node:net";
import type { TLSSocket } from "node:tls";
import { localFailure } from "./failure.ts";

const STEP_MS = 3000;
const MAX_ANSWER_BYTES = 10_000;
/** Days before the end of a certificate from which on it is worth a word. */
const CERTIFICATE_DAYS = 14;
const DAY_MS = 86_400_000;

export interface Address {
  readonly url: string;
  /** What is wrong, and what to do. Absent: a bus answered. */
  readonly trouble?: string;
  /** What was found out on the way. */
  readonly found: readonly string[];
  /** Something that works but needs care. */
  readonly warning?: string;
  /** Of the bus; absent if it tells none. */
  readonly version?: string;
  /** What its clock is ahead of ours, in milliseconds, to within half a second. */
  readonly clockAheadMs?: number;
  /** Of GET /readyz: "ok", or why not. */
  readonly ready?: string;
}

interface Got {
  readonly status: number;
  readonly text: string;
  readonly date: string | undefined;
  readonly certificateEnds: Date | undefined;
  /** Middle of the call, as our clock saw it. */
  readonly at: number;
}

export async function checkAddress(url: string): Promise<Address> {
  const found: string[] = [];
  try {
    const { hostname, port, protocol } = new URL(url);
    const host = hostname.replace(/^\[|\]$/g, "");
    const { address } = await lookup(host);
    if (address !== host) found.push(`${host} is ${address}`);
    const began = performance.now();
    await openConnection(address, Number(port) || (protocol === "https:" ? 443 : 80));
    found.push(`connects in ${Math.ceil(performance.now() - began)} ms`);
    const health = await get(`${url}/healthz`);
    const { status, version } = documentOf(health.text);
    if (health.status !== 200 || status !== "ok") {
      return { url, found, trouble: `answers ${health.status} at /healthz, but not as a bus does: check the address` };
    }
    const ready = documentOf((await get(`${url}/readyz`)).text).status;
    return {
      url,
      found,
      ...certificateOf(health, found),
      ...clockOf(health),
      ...(version && { version }),
      ...(ready && { ready }),
    };
  } catch (error) {
    return { url, found, trouble: adviceOn(error, url) };
  }
}

function openConnection(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.setTimeout(STEP_MS, () => socket.destroy(Object.assign(new Error("timeout"), { code: "ETIMEDOUT" })));
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
  });
}

function get(url: string): Promise<Got> {
  return new Promise((resolve, reject) => {
    const began = Date.now();
    const { get: ask } = url.startsWith("https:") ? https : http;
    const request = ask(url, { agent: false, timeout: STEP_MS }, (response) => {
      const at = (began + Date.now()) / 2;
      const { socket } = response;
      const ends = "getPeerCertificate" in socket ? (socket as TLSSocket).getPeerCertificate().valid_to : undefined;
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        if (text.length < MAX_ANSWER_BYTES) text += chunk;
      });
      response.once("error", reject);
      response.once("end", () => {
        const { statusCode: status = 0, headers } = response;
        resolve({
          status,
          text,
          date: headers.date,
          certificateEnds: ends === undefined ? undefined : new Date(ends),
          at,
        });
      });
    });
    request.once("error", reject);
    request.once("timeout", () => request.destroy(Object.assign(new Error("timeout"), { code: "ETIMEDOUT" })));
  });
}

function documentOf(text: string): { readonly status?: string; readonly version?: string } {
  try {
    const document: unknown = JSON.parse(text);
    return typeof document === "object" && document !== null ? document : {};
  } catch {
    return {};
  }
}

function certificateOf({ certificateEnds }: Got, found: string[]): Pick<Address, "warning"> {
  if (certificateEnds === undefined) return {};
  const until = `certificate until ${certificateEnds.toISOString().slice(0, 10)}`;
  found.push(until);
  return certificateEnds.getTime() - Date.now() < CERTIFICATE_DAYS * DAY_MS
    ? { warning: `${until}: renew it; the bus takes a changed file up by itself` }
    : {};
}

/** A Date header has whole seconds, rounded down: half a second is what it says too little on average. */
function clockOf({ date, at }: Got): Pick<Address, "clockAheadMs"> {
  const time = Date.parse(date ?? "");
  return Number.isNaN(time) ? {} : { clockAheadMs: time + 500 - at };
}

const ADVICE: Readonly<Record<string, string>> = {
  ENOTFOUND: "that name is not known: check its spelling and the DNS of this host",
  EAI_AGAIN: "the DNS of this host does not answer",
  ECONNREFUSED: "nothing listens there: start the bus with agentbus serve, or check the port",
  ETIMEDOUT: "nothing answers: the host is off, or a firewall is between",
  EHOSTUNREACH: "there is no way to that host",
  ENETUNREACH: "there is no way to that network",
  CERT_HAS_EXPIRED: "its certificate has ended: renew it",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name: use that name, or get one for this",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is its own: trust it with NODE_EXTRA_CA_CERTS=FILE",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is by an unknown authority: trust that with NODE_EXTRA_CA_CERTS=FILE",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "its certificate is by an unknown authority: trust that with NODE_EXTRA_CA_CERTS=FILE",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "its certificate is by an unknown authority: trust that with NODE_EXTRA_CA_CERTS=FILE",
  EPROTO: "it does not speak TLS: use http://",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS: use http://",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "it does not speak TLS: use http://",
  ECONNRESET: "it hung up: it may speak TLS (https://), or be no bus",
};

function adviceOn(error: unknown, url: string): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const plain =
    code === "ECONNRESET" && url.startsWith("https:") ? "it hung up: it may not speak TLS (http://)" : ADVICE[code];
  return plain === undefined ? localFailure(error).message : `${plain} (${code})`;
}
