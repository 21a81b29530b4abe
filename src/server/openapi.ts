/** The description of the JSON surface, GET /openapi.json: a generated file as it stands. It must not know what it says. */
import { readFile } from "node:fs/promises";
import type { Answer } from "./answer.ts";

let document: Promise<Buffer> | undefined;

/** Read by the first who asks, and kept. */
export async function openapiAnswer(): Promise<Answer> {
  document ??= readFile(new URL(import.meta.resolve("#gen/openapi.json")));
  try {
    const body = await document;
    return {
      status: 200,
      headers: { "content-type": "application/json", "content-length": String(body.length) },
      body,
    };
  } catch (error) {
    document = undefined;
    throw error;
  }
}
