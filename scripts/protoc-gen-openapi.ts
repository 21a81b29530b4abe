#!/usr/bin/env node
/**
 * A plugin of buf: describes the Connect-JSON surface of the .proto as OpenAPI 3.1, with the comments of the .proto as the
 * descriptions. `npm run generate` runs it. It knows protobuf's JSON, and nothing of this bus.
 */
import { readFileSync } from "node:fs";
import type { DescEnum, DescField, DescMessage, DescMethod, DescOneof } from "@bufbuild/protobuf";
import { FieldDescriptorProto_Type as Type } from "@bufbuild/protobuf/wkt";
import { createEcmaScriptPlugin, getComments, runNodeJs, type Schema } from "@bufbuild/protoplugin";
import {
  CONVENTIONS,
  contentOf,
  errorSchema,
  type Json,
  plainHttp,
  reference,
  refusals,
  responses,
  security,
  securitySchemes,
} from "./openapi-doors.ts";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const TIMESTAMP = "google.protobuf.Timestamp";

interface Options {
  /** Full name of the service to describe: others, such as gRPC health, have no door for JSON of their own. */
  readonly service: string;
}

function generate(schema: Schema<Options>): void {
  const services = schema.files.flatMap(({ services }) => services);
  const service = services.find(({ typeName }) => typeName === schema.options.service);
  if (service === undefined)
    throw new Error(`there is no service ${schema.options.service}; name one by the option service=`);
  const requests = new Set<DescMessage>();
  const answers = new Set<DescMessage>();
  const enums = new Set<DescEnum>();
  for (const { input, output } of service.methods) {
    collect(input, requests, enums);
    collect(output, answers, enums);
  }
  const both = [...requests].filter((message) => answers.has(message)).map(({ name }) => name);
  if (both.length > 0) throw new Error(`${both} are asked and answered: they need a schema for each`);
  const schemas: Record<string, Json> = {
    ...Object.fromEntries([...requests].map((message) => [message.name, objectOf(message, true)])),
    ...Object.fromEntries([...answers].map((message) => [message.name, objectOf(message, false)])),
    ...Object.fromEntries([...enums].map((one) => [one.name, enumOf(one)])),
    Error: errorSchema,
  };
  const plain = plainHttp(schemas["SendRequest"] as Json);
  const document = {
    openapi: "3.1.0",
    info: {
      title: "agentbus",
      version,
      description: `${commentOf(service)} ${CONVENTIONS}`,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    security,
    paths: {
      ...Object.fromEntries(
        service.methods.map((method) => [`/${service.typeName}/${method.name}`, { post: operationOf(method) }]),
      ),
      ...plain.paths,
    },
    components: { securitySchemes, responses, schemas: { ...schemas, ...plain.schemas } },
  };
  schema.generateFile("openapi.json").print(JSON.stringify(document, undefined, 2));
}

function operationOf(method: DescMethod): Json {
  return {
    operationId: method.name,
    summary: commentOf(method),
    requestBody: { required: true, content: contentOf(method.input.name) },
    responses: {
      "200": { description: commentOf(method.output), content: contentOf(method.output.name) },
      ...refusals,
    },
  };
}

function collect(message: DescMessage, messages: Set<DescMessage>, enums: Set<DescEnum>): void {
  if (message.typeName === TIMESTAMP || messages.has(message)) return;
  messages.add(message);
  for (const { message: inner, enum: values } of message.fields) {
    if (inner !== undefined) collect(inner, messages, enums);
    if (values !== undefined) enums.add(values);
  }
}

/** What is asked may leave fields out and must not invent any; what is answered has all that can't be absent. */
function objectOf(message: DescMessage, isRequest: boolean): Json {
  const required = message.fields.filter((field) =>
    isRequest ? /\bRequired\b/.test(commentOf(field)) : !field.oneof && !isOptional(field),
  );
  return {
    description: commentOf(message),
    type: "object",
    properties: Object.fromEntries(
      message.fields.map((field) => [field.jsonName, { ...typeOf(field), description: commentOf(field) }]),
    ),
    ...(required.length > 0 && { required: required.map(({ jsonName }) => jsonName) }),
    ...(isRequest && { additionalProperties: false }),
    ...(message.oneofs.length > 0 && { allOf: message.oneofs.map(exactlyOne) }),
  };
}

/** A oneof that is asked could be left out too; there is none so far, and its comment would say so. */
function exactlyOne({ fields }: DescOneof): Json {
  return { oneOf: fields.map(({ jsonName }) => ({ required: [jsonName] })) };
}

function isOptional(field: DescField): boolean {
  return field.fieldKind === "message" || field.proto.proto3Optional;
}

function typeOf(field: DescField): Json {
  switch (field.fieldKind) {
    case "list":
      return { type: "array", items: singleOf(field) };
    case "map":
      return { type: "object", additionalProperties: singleOf(field) };
    default:
      return singleOf(field);
  }
}

function singleOf({ message, enum: values, scalar }: DescField): Json {
  if (message !== undefined) {
    return message.typeName === TIMESTAMP ? { type: "string", format: "date-time" } : reference(message.name);
  }
  if (values !== undefined) return reference(values.name);
  switch (scalar as number as Type) {
    case Type.STRING:
      return { type: "string" };
    case Type.BOOL:
      return { type: "boolean" };
    case Type.INT32:
      return { type: "integer", format: "int32" };
    case Type.INT64:
      // 64 bits are a text in protobuf's JSON.
      return { type: "string", format: "int64" };
    case Type.BYTES:
      return { type: "string", contentEncoding: "base64" };
    default:
      throw new Error(`type ${scalar} has no JSON here yet`);
  }
}

function enumOf(values: DescEnum): Json {
  return {
    description: [commentOf(values), ...values.values.map((value) => `${value.name}: ${commentOf(value)}`)].join("\n"),
    type: "string",
    enum: values.values.map(({ name }) => name),
  };
}

function commentOf(described: Parameters<typeof getComments>[0]): string {
  const { leading, trailing } = getComments(described);
  return (leading ?? trailing ?? "").trim().replaceAll(/\s*\n\s*/g, " ");
}

runNodeJs(
  createEcmaScriptPlugin({
    name: "protoc-gen-openapi",
    version: "v1",
    parseOptions: (options): Options => ({ service: options.find(({ key }) => key === "service")?.value ?? "" }),
    generateTs: generate,
    generateJs: generate,
    generateDts: () => undefined,
  }),
);
