/** Gets the body of a message from wherever the caller said. It must not know what is done with it. */
import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import { MAX_MAX_BODY_BYTES } from "../message.ts";
import { usageFailure } from "./failure.ts";

/** From the argument ("-": stdin), else from the file; exactly one of the two must be given. */
export async function readBody(argument: string | undefined, file: string | undefined): Promise<string> {
  if ((argument === undefined) === (file === undefined)) {
    throw usageFailure(
      'give the body once: as an argument ("" for none), with --body-file FILE, or - for standard input',
    );
  }
  if (argument !== undefined && argument !== "-") return argument;
  const fromStdin = file === undefined || file === "-";
  const source = fromStdin ? "standard input" : file;
  const bytes = await readAll(fromStdin ? process.stdin : createReadStream(file), source);
  // A producer that failed leaves nothing in the pipe: that is no message.
  if (bytes.length === 0) throw usageFailure(`${source} is empty; a message without a body has the argument ""`);
  if (!isUtf8(bytes)) throw usageFailure(`${source} is not text in UTF-8`);
  return bytes.toString("utf8");
}

async function readAll(stream: AsyncIterable<Buffer>, source: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of stream) {
      size += chunk.length;
      if (size > MAX_MAX_BODY_BYTES) break;
      chunks.push(chunk);
    }
  } catch (error) {
    throw usageFailure(`${source} can't be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (size > MAX_MAX_BODY_BYTES) {
    throw usageFailure(`${source} is larger than any bus takes as a body (${MAX_MAX_BODY_BYTES} bytes)`);
  }
  return Buffer.concat(chunks);
}
