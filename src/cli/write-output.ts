/**
 * Writes to stdout and stderr: results to the one, everything else to the other, and waits until stdout has really
 * taken it. It must not know what is written.
 */
import { fstatSync, statSync } from "node:fs";
import { devNull } from "node:os";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { localFailure } from "./failure.ts";
import { oneLine } from "./visible-text.ts";

let documentWritten = false;
let readerGone = false;

/** True once `--json` has its one document; a later failure is told on stderr only. */
export function hasDocument(): boolean {
  return documentWritten;
}

/** True once a pipe was closed at its other end while something was written. */
export function isReaderGone(): boolean {
  return readerGone;
}

/** Resolves when the operating system has all of it; fails if the reader is gone or the disk is full. */
export function writeOut(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => {
      readerGone ||= error !== null && error !== undefined && "code" in error && error.code === "EPIPE";
      if (error) reject(localFailure(`the output could not be written: ${error.message}`));
      else resolve();
    });
  });
}

/** Nobody will ever read what is written: /dev/null, which node itself puts in the place of a stdout that was closed. */
export function isThrownAway(): boolean {
  try {
    const out = fstatSync(1);
    return out.isCharacterDevice() && out.rdev === statSync(devNull).rdev;
  } catch {
    return false; // writing tells what is wrong
  }
}

/** One line on stderr. */
export function say(line: string): void {
  process.stderr.write(`${oneLine(line)}\n`);
}

export async function writeDocument(document: unknown): Promise<void> {
  documentWritten = true;
  // JSON leaves DEL and the C1 controls as they are, and a terminal obeys some of them.
  const escaped = JSON.stringify(document).replace(
    /[\u007f-\u009f]/g,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  await writeOut(`${escaped}\n`);
}

/** The answer in the wire's JSON if that is wanted, else in words. */
export async function writeAnswer<D extends DescMessage>(
  json: boolean | undefined,
  schema: D,
  answer: MessageShape<D>,
  inWords: () => string,
): Promise<void> {
  if (json) {
    // Only here, so that `serve` does not load it.
    const { toJson } = await import("@bufbuild/protobuf");
    await writeDocument(toJson(schema, answer, { alwaysEmitImplicit: true }));
  } else {
    await writeOut(inWords());
  }
}
