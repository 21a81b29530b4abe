/**
 * Calls of a bus that are held against the bus's own description of them, GET /openapi.json: the request, the answer, and
 * which of the described fields were ever seen. It knows OpenAPI, not what the methods do.
 */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect } from "vitest";
import type { TestBus } from "../start-bus.ts";

export interface Schema {
  readonly $ref?: string;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

interface Operation {
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly $ref?: string; readonly content?: Content }>>;
}
type Content = Readonly<Record<string, { readonly schema: Schema }>>;

export interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

export interface Told {
  readonly status: number;
  readonly body: any;
}

export interface DescribedCall {
  /** As the document writes it, such as "/api/inbox/{agent}". */
  readonly path: string;
  readonly request?: object;
  readonly headers?: Readonly<Record<string, string>>;
  /** What really is asked where it is not `path`. */
  readonly url?: string;
}

export class DescribedBus {
  readonly document: Document;
  readonly #bus: TestBus;
  readonly #token: string;
  readonly #ajv: Ajv2020;
  readonly #strict: Ajv2020;
  /** Of answers: "Message.id" and so on. */
  readonly seen = new Set<string>();

  private constructor(bus: TestBus, token: string, document: Document) {
    this.#bus = bus;
    this.#token = token;
    this.document = document;
    this.#ajv = validator(document);
    this.#strict = validator(closed(document));
  }

  static async of(bus: TestBus, token: string): Promise<DescribedBus> {
    const answer = await fetch(`${bus.url}/openapi.json`, { headers: { "x-bus-token": token } });
    expect(answer.status).toBe(200);
    return new DescribedBus(bus, token, (await answer.json()) as Document);
  }

  /** What is wrong with a request, by its schema; "": nothing. */
  wrongIn(path: string, request: object): string {
    const { schema } = this.#operation(path).requestBody?.content["application/json"] ?? {};
    if (schema === undefined) throw new Error(`${path} takes no body`);
    return this.#wrong(this.#ajv.compile(pointed(schema)), request);
  }

  /** Calls, and expects the answer to be as it is described, without a field that is not. */
  async call({ path, request, headers = {}, url = path }: DescribedCall): Promise<Told> {
    const method = this.document.paths[path]?.["get"] === undefined ? "POST" : "GET";
    const response = await fetch(`${this.#bus.url}${url}`, {
      method,
      headers: { "content-type": "application/json", "x-bus-token": this.#token, ...headers },
      ...(request !== undefined && { body: JSON.stringify(request) }),
    });
    const told = { status: response.status, body: await response.json() };
    const { responses } = this.#operation(path);
    const described = responses[String(told.status)] ?? responses["default"];
    const { content } = this.#resolve(described as { $ref?: string }) as { content: Content };
    const { schema } = content["application/json"] as { schema: Schema };
    const wrong = this.#wrong(this.#strict.compile(pointed(schema)), told.body);
    expect(wrong, `${url} ${told.status} ${JSON.stringify(told.body)}`).toBe("");
    expect(response.headers.get("content-type")).toBe("application/json");
    this.#see(schema, told.body);
    return told;
  }

  /** A method by its name, which must succeed. */
  async ok(name: string, request: object, headers: Readonly<Record<string, string>> = {}): Promise<any> {
    const path = rpcPath(name);
    expect(this.wrongIn(path, request), `${name} ${JSON.stringify(request)}`).toBe("");
    const told = await this.call({ path, request, headers });
    expect(told.status, JSON.stringify(told.body)).toBe(200);
    return told.body;
  }

  #operation(path: string): Operation {
    const [operation] = Object.values(this.document.paths[path] ?? {});
    if (operation === undefined) throw new Error(`${path} is not described`);
    return operation;
  }

  #wrong(validate: ValidateFunction, value: unknown): string {
    return validate(value) ? "" : this.#ajv.errorsText(validate.errors);
  }

  #resolve(described: { readonly $ref?: string }): unknown {
    if (described.$ref === undefined) return described;
    const [, ...names] = described.$ref.split("/");
    return names.reduce((value: any, name) => value[name], this.document);
  }

  #see(schema: Schema, value: unknown): void {
    const { properties, items } = this.#resolve(schema) as Schema;
    if (Array.isArray(value)) for (const item of value) this.#see(items as Schema, item);
    else if (properties !== undefined) {
      const name = schema.$ref?.split("/").at(-1);
      for (const [field, inner] of Object.entries(value as object)) {
        if (name !== undefined) this.seen.add(`${name}.${field}`);
        this.#see(properties[field] as Schema, inner);
      }
    }
  }
}

export function rpcPath(name: string): string {
  return `/agentbus.v1.MessageBus/${name}`;
}

function validator(document: Document): Ajv2020 {
  // A document is no schema: its own words, such as "paths", are unknown to ajv.
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  (addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
  ajv.addSchema(document, "document");
  return ajv;
}

function pointed({ $ref }: Schema): Schema {
  return { $ref: `document${$ref}` };
}

/** The same, but answers too may hold only what is described. */
function closed({ components, ...rest }: Document): Document {
  const schemas = Object.entries(components.schemas).map(([name, schema]) => [
    name,
    schema.properties === undefined ? schema : { ...schema, additionalProperties: false },
  ]);
  return { ...rest, components: { ...components, schemas: Object.fromEntries(schemas) } };
}
