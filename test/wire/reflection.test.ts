/** gRPC server reflection: tools that have no .proto see and call what is served. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { ServerReflection, type ServerReflectionRequestSchema } from "#gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "#gen/grpc/reflection/v1alpha/reflection_pb.js";
import { startBus } from "../start-bus.ts";

const SERVED = [
  "agentbus.v1.MessageBus",
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
];
const TOKEN = { "x-bus-token": "secret" };

type Asked = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]>;

/** One stream: all answers, in order. */
async function ask(
  { url }: { url: string },
  service: typeof ServerReflection,
  asked: readonly Asked[],
  headers: Record<string, string> = TOKEN,
) {
  const client = createClient(service, createGrpcTransport({ baseUrl: url }));
  async function* requests() {
    for (const messageRequest of asked) yield { host: "here", messageRequest };
  }
  const answers = [];
  for await (const { messageResponse } of client.serverReflectionInfo(requests(), { headers })) {
    answers.push(messageResponse);
  }
  return answers;
}

const VERSIONS = [
  ["v1", ServerReflection],
  ["v1alpha", ServerReflectionAlpha as unknown as typeof ServerReflection],
] as const;

describe("server reflection", () => {
  test.each(VERSIONS)(
    "%s names the services, and gives each file once with all that it imports",
    async (_, service) => {
      const bus = await startBus({ token: "secret" });
      const [list, byService, byMethod, byFile] = await ask(bus, service, [
        { case: "listServices", value: "" },
        { case: "fileContainingSymbol", value: "agentbus.v1.MessageBus" },
        { case: "fileContainingSymbol", value: ".agentbus.v1.MessageBus.Send" },
        { case: "fileByFilename", value: "google/protobuf/timestamp.proto" },
      ]);
      expect(list).toMatchObject({ value: { service: SERVED.map((name) => ({ name })) } });
      const names = (answer: typeof list) => {
        if (answer?.case !== "fileDescriptorResponse") throw new Error(`no files: ${answer?.case}`);
        return answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
      };
      expect(names(byService)[0]).toBe("agentbus/v1/message_bus.proto");
      expect(names(byService).sort()).toEqual([
        "agentbus/v1/agent.proto",
        "agentbus/v1/message.proto",
        "agentbus/v1/message_bus.proto",
        "google/protobuf/timestamp.proto",
      ]);
      expect(names(byMethod)).toEqual(["agentbus/v1/message_bus.proto"]);
      expect(names(byFile)).toEqual(["google/protobuf/timestamp.proto"]);
    },
  );

  test.each(VERSIONS)("%s answers what it does not know without ending the stream", async (_, service) => {
    const bus = await startBus({ token: "secret" });
    const answers = await ask(bus, service, [
      { case: "fileContainingSymbol", value: "agentbus.v9.Nothing" },
      { case: "fileByFilename", value: "../../etc/passwd" },
      { case: "fileContainingExtension", value: { containingType: "agentbus.v1.Message", extensionNumber: 1 } },
      { case: "allExtensionNumbersOfType", value: "agentbus.v1.Message" },
      { case: undefined },
    ]);
    const NOT_FOUND = { value: { errorCode: Code.NotFound } };
    expect(answers).toMatchObject([
      NOT_FOUND,
      NOT_FOUND,
      NOT_FOUND,
      { value: { baseTypeName: "agentbus.v1.Message", extensionNumber: [] } },
      { value: { errorCode: Code.InvalidArgument } },
    ]);
  });

  test("is closed to whoever has no token", async () => {
    const bus = await startBus({ token: "secret" });
    const refused = await ask(bus, ServerReflection, [{ case: "listServices", value: "" }], {}).catch(
      ConnectError.from,
    );
    expect(refused).toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: expect.stringMatching(/^TOKEN_MISSING: /),
    });
  });

  test.each(["connect", "grpc", "grpcweb"])("lets buf curl call by %s without a schema", async (protocol) => {
    const bus = await startBus({ token: "secret" });
    const curl = (...words: string[]) =>
      promisify(execFile)(
        "buf",
        [
          ...["curl", "--http2-prior-knowledge", "--protocol", protocol],
          ...["-H", "x-bus-token: secret", "--reflect-header", "x-bus-token: secret", ...words],
        ],
        { timeout: 20_000 },
      );
    const { stdout: list } = await curl("--list-methods", bus.url);
    expect(list.split("\n")).toContain("agentbus.v1.MessageBus/PullInbox");
    const message = { from: "joe", to: "jack", subject: "s", body: "b" };
    const { stdout: sent } = await curl(`${bus.url}/agentbus.v1.MessageBus/Send`, "-d", JSON.stringify(message));
    const { stdout: pulled } = await curl(`${bus.url}/agentbus.v1.MessageBus/PullInbox`, "-d", '{"agent":"jack"}');
    expect(JSON.parse(pulled)).toMatchObject({ messages: [{ id: JSON.parse(sent).id, ...message }] });
  });

  test("ends its streams when the bus stops", async () => {
    const bus = await startBus();
    const client = createClient(ServerReflection, createGrpcTransport({ baseUrl: bus.url }));
    async function* requests() {
      yield { messageRequest: { case: "listServices", value: "" } } as const;
      await new Promise(() => undefined);
    }
    const answers = client.serverReflectionInfo(requests())[Symbol.asyncIterator]();
    expect((await answers.next()).value.messageResponse.case).toBe("listServicesResponse");
    const began = performance.now();
    await Promise.all([bus.stop(), expect(answers.next()).rejects.toMatchObject({ code: Code.Unavailable })]);
    expect(performance.now() - began).toBeLessThan(3000);
  });
});
