#!/usr/bin/env node
/**
 * A plugin of buf: describes the Connect-JSON surface of the .proto as OpenAPI 3.1, with the comments of the .proto as the
 * descriptions. `npm run generate` runs it. It knows protobuf's JSON, and nothing of this bus but its errors' shape.
 */
import { readFileSync } from "node:fs";
import type { DescEnum, DescField, DescMessage, DescMethod } from "@bufbuild/protobuf";
import { FieldDescriptorProto_Type as Type } from "@bufbuild/protobuf/wkt";
import { createEcmaScriptPlugin, getComments, runNodeJs, type Schema } from "@bufbuild/protoplugin";

type Json = Record<string, unknown>;

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const TIMESTAMP = "google.protobuf.Timestamp";
const CODES = [
  ["400", "invalid_argument, failed_precondition"],
  ["401", "unauthenticated"],
  ["403", "permission_denied"],
  ["404", "not_found"],
  ["409", "already_exists"],
  ["429", "resource_exhausted; with a retry-after header if it is useful to repeat it"],
  ["503", "unavailable: whether a write was done is unknown, repeat it with the same requestId"],
] as const;

const ERROR: Json = {
  description: "How Connect tells an error (connectrpc.com/docs/protocol#error-end-stream).",
  type: "object",
  required: ["code", "message"],
  properties: {
    code: { type: "string", description: "A code of Connect, such as resource_exhausted." },
    message: { type: "string", description: "REASON: what is wrong, and what to do next." },
    details: {
      type: "array",
      items: {
        type: "object",
        required: ["type", "value"],
        properties: {
          type: {
            type: "string",
            description: "google.rpc.ErrorInfo, RetryInfo, BadRequest, QuotaFailure, ResourceInfo.",
          },
          value: { type: "string", contentEncoding: "base64" },
          debug: { description: "The same as JSON." },
        },
      },
    },
  },
};

function generate(schema: Schema): void {
  const services = schema.files.flatMap(({ services }) => services);
  const [service] = services;
  if (service === undefined) throw new Error("there is no service to describe");
  const requests = new Set<DescMessage>();
  const answers = new Set<DescMessage>();
  const enums = new Set<DescEnum>();
  for (const { input, output } of service.methods) {
    collect(input, requests, enums);
    collect(output, answers, enums);
  }
  const schemas = {
    ...Object.fromEntries([...requests].map((message) => [message.name, objectOf(message, true)])),
    ...Object.fromEntries([...answers].map((message) => [message.name, objectOf(message, false)])),
    ...Object.fromEntries([...enums].map((one) => [one.name, enumOf(one)])),
    Error: ERROR,
  };
  const both = [...requests].filter((message) => answers.has(message)).map(({ name }) => name);
  if (both.length > 0) throw new Error(`${both} are asked and answered: they need a schema for each`);
  const document = {
    openapi: "3.1.0",
    info: { title: "agentbus", version, description: commentOf(service), license: { name: "MIT", identifier: "MIT" } },
    servers: [{ url: "/" }],
    security: [{ busToken: [] }, { bearer: [] }],
    paths: Object.fromEntries(
      service.methods.map((method) => [`/${service.typeName}/${method.name}`, { post: operationOf(method) }]),
    ),
    components: {
      securitySchemes: {
        busToken: { type: "apiKey", in: "header", name: "X-Bus-Token" },
        bearer: { type: "http", scheme: "bearer" },
      },
      responses: Object.fromEntries(
        CODES.map(([status, description]) => [
          `Refused${status}`,
          { description, content: { "application/json": { schema: reference("Error") } } },
        ]),
      ),
      schemas,
    },
  };
  schema.generateFile("openapi.json").print(JSON.stringify(document, undefined, 2));
}

function operationOf(method: DescMethod): Json {
  const content = ({ name }: DescMessage) => ({ "application/json": { schema: reference(name) } });
  return {
    operationId: method.name,
    summary: commentOf(method),
    requestBody: { required: true, content: content(method.input) },
    responses: {
      "200": { description: commentOf(method.output), content: content(method.output) },
      ...Object.fromEntries(CODES.map(([status]) => [status, { $ref: `#/components/responses/Refused${status}` }])),
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
  };
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

function reference(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

function commentOf(described: Parameters<typeof getComments>[0]): string {
  const { leading, trailing } = getComments(described);
  return (leading ?? trailing ?? "").trim().replaceAll(/\s*\n\s*/g, " ");
}

runNodeJs(
  createEcmaScriptPlugin({
    name: "protoc-gen-openapi",
    version: "v1",
    generateTs: generate,
    generateJs: generate,
    generateDts: () => undefined,
  }),
);
