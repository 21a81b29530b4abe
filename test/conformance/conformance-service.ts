/** The service that the official suite calls, as its service.proto describes it. It knows no transport. */
import { setTimeout as sleep } from "node:timers/promises";
import { create, createRegistry, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  type ConformancePayload_RequestInfo,
  ConformancePayload_RequestInfoSchema,
  type ConformanceService,
  type Error as Failure,
  type Header,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  type StreamResponseDefinition,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
} from "./gen/connectrpc/conformance/v1/service_pb.js";

/** Requests come back inside google.protobuf.Any. */
export const registry = createRegistry(
  UnaryRequestSchema,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  ClientStreamRequestSchema,
  BidiStreamRequestSchema,
);

function pack<D extends DescMessage>(schema: D, request: MessageShape<D>): Any {
  return anyPack(schema, request);
}

function requestInfo(context: HandlerContext, requests: Any[]): ConformancePayload_RequestInfo {
  const timeoutMs = context.timeoutMs();
  const requestHeaders = [...context.requestHeader].map(([name, value]) => ({ name, value: [value] }));
  return create(ConformancePayload_RequestInfoSchema, {
    requestHeaders,
    requests,
    ...(timeoutMs !== undefined && { timeoutMs: BigInt(timeoutMs) }),
  });
}

/** `info` is a detail where no response carried it. */
function errorOf({ message, code, details }: Failure, info: ConformancePayload_RequestInfo | undefined): ConnectError {
  const error = new ConnectError(message ?? "", code as number);
  error.details = details.map(({ typeUrl, value }) => ({ type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value }));
  if (info !== undefined) error.details.push({ desc: ConformancePayload_RequestInfoSchema, value: info });
  return error;
}

function put(headers: Headers, list: readonly Header[]): void {
  for (const { name, value } of list) for (const each of value) headers.append(name, each);
}

function putMetadata(
  context: HandlerContext,
  definition: UnaryResponseDefinition | StreamResponseDefinition | undefined,
): void {
  put(context.responseHeader, definition?.responseHeaders ?? []);
  put(context.responseTrailer, definition?.responseTrailers ?? []);
}

async function answerOnce(definition: UnaryResponseDefinition | undefined, requests: Any[], context: HandlerContext) {
  putMetadata(context, definition);
  const info = requestInfo(context, requests);
  await sleep(definition?.responseDelayMs ?? 0);
  const { response } = definition ?? {};
  if (response?.case === "error") throw errorOf(response.value, info);
  const data = response?.case === "responseData" ? response.value : new Uint8Array();
  return { payload: { data, requestInfo: info } };
}

export const conformanceMethods: ServiceImpl<typeof ConformanceService> = {
  unary: (request, context) => answerOnce(request.responseDefinition, [pack(UnaryRequestSchema, request)], context),

  idempotentUnary: (request, context) =>
    answerOnce(request.responseDefinition, [pack(IdempotentUnaryRequestSchema, request)], context),

  unimplemented: () => {
    throw new ConnectError("not implemented", 12);
  },

  async clientStream(stream, context) {
    const requests: Any[] = [];
    let definition: UnaryResponseDefinition | undefined;
    for await (const request of stream) {
      if (requests.length === 0) definition = request.responseDefinition;
      requests.push(pack(ClientStreamRequestSchema, request));
    }
    return answerOnce(definition, requests, context);
  },

  async *serverStream(request, context) {
    const definition = request.responseDefinition;
    putMetadata(context, definition);
    let info: ConformancePayload_RequestInfo | undefined = requestInfo(context, [
      pack(ServerStreamRequestSchema, request),
    ]);
    for (const data of definition?.responseData ?? []) {
      await sleep(definition?.responseDelayMs ?? 0);
      yield { payload: { data, ...(info && { requestInfo: info }) } };
      info = undefined;
    }
    if (definition?.error) throw errorOf(definition.error, info);
  },

  async *bidiStream(stream, context) {
    let definition: StreamResponseDefinition | undefined;
    let [isFirst, isFullDuplex, sent] = [true, false, 0];
    let requests: Any[] = [];
    const next = async () => {
      await sleep(definition?.responseDelayMs ?? 0);
      return definition?.responseData[sent++] ?? new Uint8Array();
    };
    for await (const request of stream) {
      if (isFirst) {
        definition = request.responseDefinition;
        isFullDuplex = request.fullDuplex;
        putMetadata(context, definition);
        isFirst = false;
      }
      requests.push(pack(BidiStreamRequestSchema, request));
      if (!isFullDuplex) continue;
      if (sent >= (definition?.responseData.length ?? 0)) break;
      yield { payload: { data: await next(), requestInfo: requestInfo(context, requests) } };
      requests = [];
    }
    while (sent < (definition?.responseData.length ?? 0)) {
      const info = sent === 0 && { requestInfo: requestInfo(context, requests) };
      yield { payload: { data: await next(), ...info } };
    }
    if (definition?.error) throw errorOf(definition.error, sent > 0 ? undefined : requestInfo(context, requests));
  },
};
