/**
 * What the .proto does not say of the JSON surface, in OpenAPI: how errors look, how a token is sent, and the plain-HTTP
 * pair. It knows the schemas of messages by name only.
 */
export type Json = Record<string, unknown>;

export const CONVENTIONS = `Every method is a POST with a JSON object. Descriptions name fields as the .proto does: request_id is requestId here (the bus takes both). An unknown field is refused. In an answer, empty text, 0 and false are written; only what is not listed as required may be absent. Durations are whole seconds, times RFC 3339.`;

const RETRY_AFTER: Json = {
  "retry-after": { description: "Seconds before which a repeat is useless.", schema: { type: "integer" } },
};

/** Statuses that a caller must tell apart, with the codes of Connect behind them. */
const REFUSALS: readonly (readonly [status: string, description: string, headers?: Json])[] = [
  ["400", "invalid_argument, failed_precondition: mend the request"],
  ["401", "unauthenticated: send the right token"],
  ["403", "permission_denied: this token may not"],
  ["404", "not_found: no such agent or message"],
  ["409", "already_exists: this requestId stood for something else"],
  [
    "429",
    "resource_exhausted: with a retry-after header, wait so long; without one, a repeat is of no use",
    RETRY_AFTER,
  ],
  ["503", "unavailable: whether a write was done is unknown; repeat it with the same requestId", RETRY_AFTER],
  [
    "default",
    "Any other failure: deadline_exceeded (504), internal (500), unimplemented (404, 405, 415, 501), canceled (499)",
  ],
];

const responseName = (status: string) => (status === "default" ? "Failed" : `Refused${status}`);

export const responses: Json = Object.fromEntries(
  REFUSALS.map(([status, description, headers]) => [
    responseName(status),
    { description, ...(headers && { headers }), content: contentOf("Error") },
  ]),
);

/** What every call may be answered besides what it is meant to. */
export const refusals: Json = Object.fromEntries(
  REFUSALS.map(([status]) => [status, { $ref: `#/components/responses/${responseName(status)}` }]),
);

export const securitySchemes: Json = {
  busToken: { type: "apiKey", in: "header", name: "X-Bus-Token" },
  bearer: { type: "http", scheme: "bearer" },
};

/** Either of them, or none on a bus without a token. */
export const security: readonly Json[] = [{ busToken: [] }, { bearer: [] }, {}];

export const errorSchema: Json = {
  description: "A failure, as Connect writes it.",
  type: "object",
  required: ["code", "message"],
  properties: {
    code: {
      description: "Of Connect.",
      type: "string",
      enum: [
        "invalid_argument",
        "unauthenticated",
        "permission_denied",
        "not_found",
        "already_exists",
        "resource_exhausted",
        "failed_precondition",
        "unavailable",
        "deadline_exceeded",
        "canceled",
        "unimplemented",
        "internal",
      ],
    },
    message: { type: "string", description: "REASON: what is wrong, and what to do next." },
    details: {
      description: "At least a google.rpc.ErrorInfo, with the reason as data; absent from internal.",
      type: "array",
      items: {
        type: "object",
        required: ["type", "value"],
        properties: {
          type: {
            type: "string",
            enum: ["ErrorInfo", "RetryInfo", "BadRequest", "QuotaFailure", "ResourceInfo"].map(
              (name) => `google.rpc.${name}`,
            ),
          },
          value: {
            description: "The message in protobuf, base64 without padding.",
            type: "string",
            contentEncoding: "base64",
          },
          debug: { description: "The same as JSON, for people." },
        },
      },
    },
  },
};

/** The two paths that agents had before this bus; `sendRequest` is the schema of a SendRequest. */
export function plainHttp(sendRequest: Json): { paths: Json; schemas: Json } {
  const query = (name: string, description: string, schema: Json) => ({ name, in: "query", description, schema });
  return {
    schemas: {
      PlainSendRequest: {
        ...sendRequest,
        description: "A SendRequest. A timestamp in it is passed over: the bus has its own clock.",
        properties: { ...(sendRequest["properties"] as Json), timestamp: { description: "Passed over." } },
      },
      PlainInbox: {
        description: "Oldest first; may be empty.",
        type: "object",
        required: ["messages"],
        properties: { messages: { type: "array", items: reference("Message") } },
      },
    },
    paths: {
      "/api/send": {
        post: {
          operationId: "plainSend",
          summary: "Send, for agents that know only this path; any content-type.",
          requestBody: { required: true, content: contentOf("PlainSendRequest") },
          responses: {
            "200": { description: "The message is on disk.", content: contentOf("SendResponse") },
            ...refusals,
          },
        },
      },
      "/api/inbox/{agent}": {
        get: {
          operationId: "plainInbox",
          summary: "Unread mail: a look, unless mark_read.",
          parameters: [
            { name: "agent", in: "path", required: true, description: "Whose inbox.", schema: { type: "string" } },
            query("mark_read", "Marks what is handed out READ, once all of it was written.", { type: "boolean" }),
            query("wait_seconds", "As in PullInboxRequest.", { type: "integer" }),
            query("max_messages", "As in PullInboxRequest.", { type: "integer" }),
            query("request_id", "As in PullInboxRequest.", { type: "string" }),
          ],
          responses: { "200": { description: "The mail.", content: contentOf("PlainInbox") }, ...refusals },
        },
      },
    },
  };
}

export function contentOf(schema: string): Json {
  return { "application/json": { schema: reference(schema) } };
}

export function reference(schema: string): Json {
  return { $ref: `#/components/schemas/${schema}` };
}
