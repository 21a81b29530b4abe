/**
 * The server under test of the official suite: the bus's own port, door and admission, with the suite's service behind
 * them. The suite starts it, says by stdin what it wants, and reads from stdout where it listens.
 */
import { readFileSync } from "node:fs";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { MAX_REQUEST_BYTES } from "#dist/message.js";
import { Admission } from "#dist/server/admission.js";
import { isGone, writeAnswer } from "#dist/server/answer.js";
import { errorAnswerOf, malformedAnswer, toWireError } from "#dist/server/error-answer.js";
import { createLog } from "#dist/server/log.js";
import { type HttpRequest, type HttpResponse, OnePortServer } from "#dist/server/one-port.js";
import { callKey, RpcDoor } from "#dist/server/rpc-door.js";
import { conformanceMethods, registry } from "./conformance-service.ts";
import {
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/server_compat_pb.js";
import { ConformanceService } from "./gen/connectrpc/conformance/v1/service_pb.js";

const LENGTH_BYTES = 4;

const input = readFileSync(0);
const wanted = fromBinary(
  ServerCompatRequestSchema,
  input.subarray(LENGTH_BYTES, LENGTH_BYTES + input.readUInt32BE(0)),
);
const log = createLog("warn");

/** As the bus's own methods do: what fails from here on is in its own form already. */
type Method = (request: never, context: HandlerContext) => unknown;
const judged = Object.fromEntries(
  Object.entries(conformanceMethods as unknown as Record<string, Method>).map(([name, method]) => [
    name,
    (request: never, context: HandlerContext) => {
      const call = context.values.get(callKey);
      if (call !== undefined) call.judged = true;
      return method(request, context);
    },
  ]),
) as unknown as typeof conformanceMethods;

const rpc = new RpcDoor({
  routes: (router) => router.service(ConformanceService, judged),
  admission: new Admission({
    token: undefined,
    requireAgentTokens: false,
    allowsOrigin: () => false,
    findToken: async () => undefined,
    requireRoom: () => undefined,
    suspicious: () => undefined,
  }),
  open: [],
  toWireError: (error, what) => toWireError(error, what, log),
  maxRequestBytes: wanted.messageReceiveLimit || MAX_REQUEST_BYTES,
  registry,
  plainRefusals: true,
});

const tls = wanted.useTls
  ? {
      cert: Buffer.from(wanted.serverCreds?.cert ?? []),
      key: Buffer.from(wanted.serverCreds?.key ?? []),
      ...(wanted.clientTlsCert.length > 0 && {
        requestCert: true,
        rejectUnauthorized: true,
        ca: Buffer.from(wanted.clientTlsCert),
      }),
    }
  : undefined;

const server = new OnePortServer({
  handler: (request: HttpRequest, response: HttpResponse) => {
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    const path = request.url?.split("?", 1)[0] ?? "";
    if (!rpc.serves(path)) return writeAnswer(response, { status: 404, headers: {}, body: "" });
    rpc.serve(path, request, response).catch((error: unknown) => {
      if (!isGone(response)) writeAnswer(response, errorAnswerOf(error, path, log));
    });
  },
  malformed: malformedAnswer,
  tls,
});

const port = await server.listen(0, "127.0.0.1");
const answer = toBinary(
  ServerCompatResponseSchema,
  create(ServerCompatResponseSchema, { host: "127.0.0.1", port, ...(tls && { pemCert: tls.cert }) }),
);
const length = Buffer.alloc(LENGTH_BYTES);
length.writeUInt32BE(answer.length);
process.stdout.write(Buffer.concat([length, answer]));
process.once("SIGTERM", () => process.exit(0));
