/**
 * gRPC server reflection, v1 and v1alpha: what is served here, for tools that have no .proto. It knows descriptors, and
 * nothing of what the services do.
 */
import { type DescFile, type DescService, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import type {
  ServerReflection,
  ServerReflectionRequest,
  ServerReflectionResponseSchema,
} from "#gen/grpc/reflection/v1/reflection_pb.js";

type Asked = ServerReflectionRequest["messageRequest"];
type Told = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;

/** Both versions of the service have the same messages, by name and number. */
export function reflectionMethods(services: readonly DescService[]): ServiceImpl<typeof ServerReflection> {
  const catalog = new Catalog(services);
  return {
    async *serverReflectionInfo(requests, { signal }) {
      const sent = new Set<DescFile>();
      for await (const originalRequest of untilAborted(requests, signal)) {
        const messageResponse = catalog.answer(originalRequest.messageRequest, sent);
        yield { validHost: originalRequest.host, originalRequest, messageResponse };
      }
    },
  };
}

/** A caller who asks nothing more keeps his stream open, but not the bus. */
async function* untilAborted<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]();
  const over = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  over.catch(() => undefined); // it aborts too when all is done
  for (;;) {
    const { value, done } = await Promise.race([iterator.next(), over]);
    if (done) return;
    yield value;
  }
}

class Catalog {
  readonly #services: readonly DescService[];
  readonly #files = new Map<string, DescFile>();
  readonly #symbols = new Map<string, DescFile>();
  readonly #bytes = new Map<DescFile, Uint8Array>();

  constructor(services: readonly DescService[]) {
    this.#services = services;
    for (const { file } of services) this.#add(file);
  }

  #add(file: DescFile): void {
    if (this.#files.has(pathOf(file))) return;
    this.#files.set(pathOf(file), file);
    for (const type of nestedTypes(file)) {
      this.#symbols.set(type.typeName, file);
      const members = type.kind === "service" ? type.methods : type.kind === "message" ? type.fields : [];
      for (const { name } of members) this.#symbols.set(`${type.typeName}.${name}`, file);
    }
    for (const dependency of file.dependencies) this.#add(dependency);
  }

  /** `sent`: what this caller has already, and what is sent now with it. */
  answer(asked: Asked, sent: Set<DescFile>): Told {
    switch (asked.case) {
      case "listServices":
        return {
          case: "listServicesResponse",
          value: { service: this.#services.map(({ typeName: name }) => ({ name })) },
        };
      case "fileByFilename":
        return this.#file(this.#files.get(asked.value), sent) ?? notFound("file", asked.value);
      case "fileContainingSymbol":
        return this.#file(this.#symbols.get(asked.value.replace(/^\./, "")), sent) ?? notFound("symbol", asked.value);
      case "allExtensionNumbersOfType":
        if (!this.#symbols.has(asked.value)) return notFound("type", asked.value);
        return { case: "allExtensionNumbersResponse", value: { baseTypeName: asked.value } };
      case "fileContainingExtension":
        return notFound("extension of", asked.value.containingType);
      case undefined:
        return refusal(Code.InvalidArgument, "nothing was asked");
    }
  }

  #file(file: DescFile | undefined, sent: Set<DescFile>): Told | undefined {
    if (file === undefined) return undefined;
    // What is asked for comes always, and first; what it imports once.
    const imported = [...closureOf(file)].filter((one) => one !== file && !sent.has(one));
    const files = [file, ...imported];
    for (const one of files) sent.add(one);
    return { case: "fileDescriptorResponse", value: { fileDescriptorProto: files.map((one) => this.#bytesOf(one)) } };
  }

  #bytesOf(file: DescFile): Uint8Array {
    const bytes = this.#bytes.get(file) ?? toBinary(FileDescriptorProtoSchema, file.proto);
    this.#bytes.set(file, bytes);
    return bytes;
  }
}

/** A DescFile's own name has no ending. */
function pathOf({ name }: DescFile): string {
  return `${name}.proto`;
}

function closureOf(file: DescFile, files = new Set<DescFile>()): Set<DescFile> {
  if (files.has(file)) return files;
  files.add(file);
  for (const dependency of file.dependencies) closureOf(dependency, files);
  return files;
}

function notFound(what: string, name: string): Told {
  return refusal(Code.NotFound, `there is no ${what} ${name.slice(0, 200)} here`);
}

function refusal(errorCode: Code, errorMessage: string): Told {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
