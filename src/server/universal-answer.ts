/** Answers of connect-es' handlers as answers for node. It knows neither requests nor protocols. */
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { Answer } from "./answer.ts";

/** Of a unary method: the answer is small enough to hold, and trailers are settled once the body is. */
export async function collect({ status, header, body, trailer }: UniversalServerResponse): Promise<Answer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body ?? []) chunks.push(chunk);
  const whole = chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
  const answer = { status, headers: plain(header), body: whole };
  return trailer === undefined ? answer : { ...answer, trailers: plain(trailer) };
}

export function plain(headers: Headers | undefined): Record<string, string | string[]> {
  const out: Record<string, string | string[]> = {};
  headers?.forEach((value, name) => {
    const before = out[name];
    out[name] = before === undefined ? value : [before, value].flat();
  });
  return out;
}
