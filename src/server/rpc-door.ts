/**
 * Connect, gRPC and gRPC-Web: hands node's requests to connect-es' handlers and their answers to node's responses. It
 * knows the protocols' framing only through connect-es, and of the service only its handlers.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { DescMethod, Registry } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type ConnectRouterOptions,
  createConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import type { Compression, UniversalHandler, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip, universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import { BusError } from "../errors.ts";
import { MAX_REQUEST_BYTES } from "../message.ts";
import type { Principal } from "../token.ts";
import type { Admission, HeaderOf } from "./admission.ts";
import { type Answer, handedOver, writeAnswer } from "./answer.ts";
import { errorAnswer } from "./error-answer.ts";
import { fromFramework, toConnectError } from "./error-codes.ts";
import { dropFarDeadline } from "./far-deadline.ts";
import { type Format, tooManyPieces } from "./many-pieces.ts";
import { type HttpRequest, type HttpResponse, headerOf } from "./one-port.ts";
import { readBody } from "./read-body.ts";
import { writeStream } from "./stream-answer.ts";
import { collect, plain } from "./universal-answer.ts";

/** One call under way: what connect-es doesn't tell, and a handler may want to know. */
export interface Call {
  readonly header: HeaderOf;
  /** As admission confirms it: for a call that lasts. */
  readonly stillAdmitted: () => Promise<void>;
  /** The caller's, as the connection has it. */
  readonly address: string;
  /** Set by the gate that admits the call. */
  principal: Principal | undefined;
  /** Resolves to true once the whole answer was handed to the socket, to false when it never will be. */
  readonly answered: Promise<boolean>;
  /** Code of ours judged it: what fails from here on is in the form of ours already. */
  judged: boolean;
  /** What our code refused it with, if it did. */
  refused: Code | undefined;
  /** Told the milliseconds that it waited for mail. */
  waited: ((ms: number) => void) | undefined;
  context: HandlerContext | undefined;
  /** What the gate refuses this call with. */
  readonly refusal: ConnectError | undefined;
}

export const callKey = createContextKey<Call | undefined>(undefined, { description: "the call under way" });

const jsonOptions = {
  // A misspelled field must not pass in silence, and an empty value must not be missing.
  ignoreUnknownFields: false,
  alwaysEmitImplicit: true,
  // Invalid UTF-8 is refused, never replaced.
  textDecoder: new TextDecoder("utf-8", { fatal: true }),
};

/** gRPC puts five bytes before a message. */
const FRAMING_BYTES = 5;

export interface RpcDoorOptions {
  readonly routes: (router: ConnectRouter) => void;
  readonly admission: Admission;
  /** Full names of services that anybody may call. */
  readonly open: readonly string[];
  /** The wire form of any error; logs what is unknown. */
  readonly toWireError: (error: unknown, what: string) => ConnectError;
  /** Told of every unary call once its answer is decided; `code` undefined: it succeeded. */
  readonly answered?: (method: DescMethod, code: Code | undefined) => void;
  /** Of one request, uncompressed. */
  readonly maxRequestBytes?: number;
  /** Types that may come inside a google.protobuf.Any; the bus has none. */
  readonly registry?: Registry;
  /** Leave refusals as connect-es gives them, without our reasons: the conformance suite allows no more than that. */
  readonly plainRefusals?: boolean;
}

export class RpcDoor {
  readonly #handlers = new Map<string, UniversalHandler>();
  readonly #maxRequestBytes: number;
  readonly #plainRefusals: boolean;
  readonly #toWireError: RpcDoorOptions["toWireError"];
  readonly #answered: RpcDoorOptions["answered"];
  readonly #admission: Admission;

  constructor(options: RpcDoorOptions) {
    const { routes, admission, open, toWireError, maxRequestBytes = MAX_REQUEST_BYTES, registry } = options;
    this.#maxRequestBytes = maxRequestBytes;
    this.#plainRefusals = options.plainRefusals === true;
    this.#toWireError = toWireError;
    this.#answered = options.answered;
    this.#admission = admission;
    const routerOptions: ConnectRouterOptions = {
      acceptCompression: [compressionGzip, compressionBrotli].map(refusingMany),
      readMaxBytes: maxRequestBytes,
      jsonOptions: { ...jsonOptions, ...(registry && { registry }) },
      // Nothing that came in is ever written out again as it was.
      binaryOptions: { readUnknownFields: false },
      requestGate: async (context) => {
        const call = context.values.get(callKey);
        if (call === undefined) throw new Error("a call came past the door");
        call.context = context;
        if (call.refusal !== undefined) throw call.refusal;
        if (open.includes(context.service.typeName)) return;
        try {
          call.principal = await admission.admit(call.header, call.address);
        } catch (error) {
          call.judged = true;
          const wire = toWireError(error, "admission");
          call.refused = wire.code;
          throw wire;
        }
      },
    };
    const router = createConnectRouter(routerOptions);
    routes(router);
    for (const handler of router.handlers) this.#handlers.set(handler.requestPath, handler);
  }

  /** False: no such method. */
  serves(path: string): boolean {
    return this.#handlers.has(path);
  }

  async serve(path: string, request: HttpRequest, response: HttpResponse): Promise<void> {
    const handler = this.#handlers.get(path);
    if (handler === undefined) throw new Error(`no method at ${path}`);
    const streams = handler.method.methodKind !== "unary";
    const answered = streams ? Promise.resolve(true) : handedOver(response);
    const header: HeaderOf = (name) => headerOf(request, name);
    const address = request.socket.remoteAddress ?? "";
    const first: Call = {
      header,
      stillAdmitted: () => this.#admission.confirm(header),
      address,
      principal: undefined,
      answered,
      judged: false,
      refused: undefined,
      waited: undefined,
      context: undefined,
      refusal: undefined,
    };
    if (streams) return this.#stream(handler, request, response, first);
    let code: Code | undefined = Code.Internal;
    try {
      code = await this.#unary(handler, request, response, first);
    } finally {
      this.#answered?.(handler.method, code);
    }
  }

  /** Resolves to what the call was refused with. */
  async #unary(
    handler: UniversalHandler,
    request: HttpRequest,
    response: HttpResponse,
    first: Call,
  ): Promise<Code | undefined> {
    // connect-es can fail to write an error of its own, such as one with a lone surrogate in it.
    const answer = await this.#run(handler, request, response, first).catch((error: unknown) => {
      if (first.judged || first.context === undefined) throw error;
    });
    const isOurs = this.#plainRefusals || first.judged || first.context === undefined;
    if (answer !== undefined && isOurs) {
      writeAnswer(response, answer);
      return first.context === undefined ? Code.Unimplemented : first.refused;
    }
    // connect-es refused it before any code of ours ran. The gate refuses it again, with our reason and details, and
    // connect-es writes that in whatever protocol the caller speaks. The body is not read a second time.
    const raised: unknown = first.context?.signal.reason;
    // Bad base64 in the query of a GET is the one fault of a request that connect-es has no error of its own for. Of a
    // caller who hung up before it was refused it tells only that, and that is no fault of the bus.
    const hungUp = raised instanceof Error && raised.name === "AbortError";
    const refusal =
      raised instanceof ConnectError || hungUp || request.method === "GET"
        ? toConnectError(fromFramework(ConnectError.from(raised, Code.InvalidArgument)))
        : this.#toWireError(raised, handler.requestPath);
    writeAnswer(response, await this.#run(handler, request, response, { ...first, context: undefined, refusal }));
    return refusal.code;
  }

  /** Health and reflection only: their errors need no reason of ours, connect-es writes them as the protocol has them. */
  async #stream(handler: UniversalHandler, request: HttpRequest, response: HttpResponse, call: Call): Promise<void> {
    const values = createContextValues().set(callKey, call);
    const universal = universalRequestFromNodeRequest(request as never, response as never, undefined, values);
    dropFarDeadline(universal.header);
    await formats.run(formatOf(request), async () => {
      const answer = await handler(universal);
      if (call.context === undefined && !this.#plainRefusals) {
        return writeAnswer(response, unframed(answer, request, handler));
      }
      const { status, header, body, trailer } = answer;
      await writeStream(response, {
        status,
        headers: plain(header),
        body: (body ?? []) as AsyncIterable<Uint8Array>,
        trailers: () => trailer && plain(trailer),
      });
    });
  }

  async #run(handler: UniversalHandler, request: HttpRequest, response: HttpResponse, call: Call): Promise<Answer> {
    const values = createContextValues().set(callKey, call);
    // Either of node's classes fits; the union of them does not.
    const universal = universalRequestFromNodeRequest(request as never, response as never, undefined, values);
    dropFarDeadline(universal.header);
    const answer = await formats.run(formatOf(request), () =>
      handler({ ...universal, body: wholeBody(request, call, this.#maxRequestBytes, this.#plainRefusals) }),
    );
    const isBare = call.context === undefined && !this.#plainRefusals;
    return isBare ? unframed(answer, request, handler) : collect(answer);
  }
}

/** What connect-es refuses with a bare status: a method or content type that no protocol has. */
function unframed({ status }: UniversalServerResponse, request: HttpRequest, handler: UniversalHandler): Answer {
  const type = request.headers["content-type"]?.slice(0, 70);
  const advice =
    status === 415
      ? request.method === "GET"
        ? "a GET must say what it asks in its query: ?encoding=json&message={…}"
        : `content-type "${type ?? ""}" is not served here; send JSON with -H 'content-type: application/json'`
      : status === 405
        ? `${request.method} is not served here; use POST`
        : `${handler.method.name} is not served over HTTP/${request.httpVersion} in this form; gRPC needs HTTP/2`;
  const answer = errorAnswer(new BusError({ reason: "UNIMPLEMENTED", advice }), status);
  return status === 405 ? { ...answer, headers: { ...answer.headers, allow: "POST" } } : answer;
}

/** Read when connect-es asks for it: after the gate. */
async function* wholeBody(
  request: HttpRequest,
  call: Call,
  maxBytes: number,
  plainRefusals: boolean,
): AsyncGenerator<Uint8Array> {
  let body: Uint8Array;
  try {
    body = await readBody(request, maxBytes, FRAMING_BYTES);
  } catch (error) {
    call.judged = true;
    if (plainRefusals) throw new ConnectError("the message is too large", Code.ResourceExhausted);
    if (!(error instanceof BusError)) throw error;
    const wire = toConnectError(error);
    call.refused = wire.code;
    throw wire;
  }
  // What is compressed is judged once it is not.
  const { "content-type": type, "content-encoding": encoding = "identity" } = request.headers;
  const framed = type?.startsWith("application/grpc") === true;
  const compressed = framed ? ((body[0] ?? 0) & 1) === 1 : encoding !== "identity";
  if (!compressed) refuseMany(framed ? body.subarray(FRAMING_BYTES) : body, formatOf(request));
  yield body;
}

/** Of the request that a decompression is for: it is told nothing but bytes. */
const formats = new AsyncLocalStorage<Format>();

function formatOf({ headers, url }: HttpRequest): Format {
  return /json/.test(headers["content-type"] ?? url ?? "") ? "json" : "binary";
}

function refuseMany(message: Uint8Array, format: Format | undefined): void {
  const refusal = tooManyPieces(message, format ?? "binary");
  if (refusal !== undefined) throw new ConnectError(refusal, Code.ResourceExhausted);
}

function refusingMany(compression: Compression): Compression {
  return {
    ...compression,
    async decompress(bytes, readMaxBytes) {
      const message = await compression.decompress(bytes, readMaxBytes);
      refuseMany(message, formats.getStore());
      return message;
    },
  };
}
