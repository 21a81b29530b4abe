/**
 * A door that another room brings, such as /mcp: what is posted becomes a web-standard Request once it was admitted and
 * read within the limits, and the Response is written back as fast as its reader takes it. It must not know what the door
 * serves.
 */
import { isUtf8 } from "node:buffer";
import type { Duplex } from "node:stream";
import { BusError, invalidFields } from "../errors.ts";
import { MAX_REQUEST_BYTES } from "../message.ts";
import { requireName } from "../permissions.ts";
import type { Principal } from "../token.ts";
import { writeAnswer } from "./answer.ts";
import { tooManyPieces } from "./many-pieces.ts";
import type { HttpRequest, HttpResponse } from "./one-port.ts";
import { readBody } from "./read-body.ts";
import { writeStream } from "./stream-answer.ts";

/** One request to such a door. */
export interface MountedCall {
  /** Its signal aborts when the caller hangs up. */
  readonly request: Request;
  /** In whose name the caller speaks. */
  readonly agent: string;
  /** As the caller brought it. */
  readonly token: string | undefined;
  /** A connection to this bus: whatever is asked over it passes admission like any other call. */
  readonly connect: () => Duplex;
}

export type MountedDoor = (call: MountedCall) => Promise<Response>;

/** By path, such as "/mcp". */
export type Mounts = Readonly<Record<string, MountedDoor>>;

export interface Visit {
  readonly who: Principal;
  /** The header X-Bus-Agent. */
  readonly named: string | undefined;
  readonly token: string | undefined;
  readonly url: URL;
  readonly connect: () => Duplex;
}

/** Throws INVALID_FIELD, NOT_YOUR_NAME, and what reading a body throws. */
export async function serveMounted(
  door: MountedDoor,
  { who, named, token, url, connect }: Visit,
  request: HttpRequest,
  response: HttpResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const agent = speakerOf(who, named);
  const init = { method: "POST", headers: webHeaders(request), body: await readText(request), signal: gone.signal };
  const answer = await door({ request: new Request(url, init), agent, token, connect });
  const { status, body } = answer;
  // What becomes of the connection is not the door's to say, and HTTP/2 has no such header.
  answer.headers.delete("connection");
  const out = { status, headers: Object.fromEntries(answer.headers) };
  if (body === null) return writeAnswer(response, { ...out, body: "" });
  await writeStream(response, { ...out, body, trailers: () => undefined });
}

/** Who has an agent's token is that agent; everyone else must say who they are. */
function speakerOf(who: Principal, named: string | undefined): string {
  if (named) {
    requireName(who, named);
    return named;
  }
  if (who.kind === "agent") return who.agent;
  throw invalidFields([
    {
      field: "X-Bus-Agent",
      description: "is missing: name the agent that you are in this header, or use its own token",
    },
  ]);
}

async function readText(request: HttpRequest): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readBody(request, MAX_REQUEST_BYTES);
  const refusal = isUtf8(bytes) ? tooManyPieces(bytes, "json") : "the body is not valid UTF-8";
  if (refusal !== undefined) throw new BusError({ reason: "MALFORMED_JSON", advice: refusal });
  return new Uint8Array(bytes);
}

function webHeaders({ headers }: HttpRequest): Headers {
  const web = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    // What HTTP/2 says in pseudo headers is in the URL already.
    if (value === undefined || name.startsWith(":")) continue;
    for (const one of [value].flat()) web.append(name, one);
  }
  return web;
}
