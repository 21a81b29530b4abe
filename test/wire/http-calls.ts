/**
 * Well-formed HTTP calls with any headers and any body, over HTTP/1.1 and HTTP/2, with answers as they came: status,
 * headers, bytes, trailers. It knows no protocol above HTTP.
 */
import http from "node:http";
import http2 from "node:http2";
import { onTestFinished } from "vitest";

export interface Call {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly trailers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export type Caller = (call: Call) => Promise<Reply>;

/** Calls over HTTP/1.1, each on a connection of its own unless an agent is given. */
export function overHttp1(port: number, agent: http.Agent | false = false): Caller {
  return ({ path, method = "POST", headers = {}, body = "" }) =>
    new Promise((resolve, reject) => {
      const request = http.request({ port, host: "127.0.0.1", path, method, agent, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const { statusCode: status = 0 } = response;
          const trailers = plain(response.trailers);
          resolve({ status, headers: plain(response.headers), trailers, body: Buffer.concat(chunks) });
        });
      });
      request.on("error", reject);
      request.end(body);
    });
}

/** Calls over one HTTP/2 connection with prior knowledge, closed when the test ends. */
export function overHttp2(port: number): Caller & { readonly session: http2.ClientHttp2Session } {
  // Without the memory node's own client would reset a call whose body is large.
  const session = http2.connect(`http://127.0.0.1:${port}`, { maxSessionMemory: 1000 });
  session.on("error", () => undefined); // every call hears of it by itself
  onTestFinished(() => session.destroy());
  const call: Caller = ({ path, method = "POST", headers = {}, body = "" }) =>
    new Promise((resolve, reject) => {
      const endStream = body.length === 0;
      const stream = session.request({ ":path": path, ":method": method, ...headers }, { endStream });
      const chunks: Buffer[] = [];
      let answered: http2.IncomingHttpHeaders = {};
      let trailers: http2.IncomingHttpHeaders = {};
      stream.on("response", (headers) => {
        answered = headers;
      });
      stream.on("trailers", (headers) => {
        trailers = headers;
      });
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("error", reject);
      stream.on("close", () => {
        const status = Number(answered[":status"] ?? 0);
        // Without an answer the error that comes with the end of the stream or session says why.
        if (status === 0) return reject(new Error(`no answer: HTTP/2 error ${stream.rstCode}`));
        resolve({ status, headers: plain(answered), trailers: plain(trailers), body: Buffer.concat(chunks) });
      });
      if (!endStream) stream.end(body);
    });
  return Object.assign(call, { session });
}

function plain(headers: object): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}
