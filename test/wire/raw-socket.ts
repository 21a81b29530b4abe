/**
 * A TCP connection for bytes that no HTTP client would send, and the HTTP/1.1 answers found in what comes back. It knows
 * nothing of what is asked.
 */
import net from "node:net";
import { onTestFinished } from "vitest";

/** A Host that every bus takes. */
export const LOCAL = "Host: localhost\r\n";

/** An HTTP/1.1 request with a right content-length; `body` is Latin-1. */
export function request(line: string, body = "", headers = ""): string {
  return `${line} HTTP/1.1\r\n${LOCAL}${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
}

export class RawSocket {
  readonly #socket: net.Socket;
  readonly #listeners = new Set<() => void>();
  #received: Buffer = Buffer.alloc(0);
  #ended = false;
  #closed = false;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    const changed = () => {
      for (const listener of this.#listeners) listener();
    };
    socket.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      changed();
    });
    socket.on("end", () => {
      this.#ended = true;
      changed();
    });
    socket.on("error", () => undefined); // a reset is an answer too: "close" follows
    socket.on("close", () => {
      this.#closed = true;
      changed();
    });
  }

  /** Open until it is destroyed, or the test ends. With `half`, it does not close when the other side does. */
  static open(port: number, { half = false } = {}): Promise<RawSocket> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: half, noDelay: true }, () => {
        socket.off("error", reject);
        resolve(new RawSocket(socket));
      });
      socket.once("error", reject);
      onTestFinished(() => void socket.destroy());
    });
  }

  /** Text stands for its Latin-1 bytes. Goes nowhere, without complaint, when the other side has closed. */
  send(bytes: string | Uint8Array): this {
    if (this.#socket.writable) this.#socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
    return this;
  }

  /** Sends FIN and goes on reading. */
  finish(): this {
    this.#socket.end();
    return this;
  }

  /** Leaves what comes in the kernel, until the other side can send no more. */
  stopReading(): this {
    this.#socket.pause();
    return this;
  }

  readAgain(): this {
    this.#socket.resume();
    return this;
  }

  /** Hangs up: with RST when something came that was not read, as a crash does. */
  destroy(): void {
    this.#socket.destroy();
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }

  get received(): Buffer {
    return this.#received;
  }

  /** Bytes that the kernel has not taken yet. */
  get unsent(): number {
    return this.#socket.writableLength;
  }

  /** The other side sent FIN or RST. */
  get ended(): boolean {
    return this.#ended || this.#closed;
  }

  /** True as soon as `holds` does; false when it still does not after `ms` milliseconds. */
  until(holds: (socket: this) => boolean, ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (outcome: boolean) => {
        clearTimeout(late);
        this.#listeners.delete(check);
        resolve(outcome);
      };
      const check = () => {
        if (holds(this)) settle(true);
      };
      const late = setTimeout(settle, ms, false);
      this.#listeners.add(check);
      check();
    });
  }
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The answers that stand whole at the beginning of `bytes`, and what follows them. */
export function answersIn(bytes: Buffer): { answers: RawAnswer[]; rest: Buffer } {
  const answers: RawAnswer[] = [];
  let rest = bytes;
  for (;;) {
    const taken = takeAnswer(rest);
    if (taken === undefined) return { answers, rest };
    if (taken.answer.status !== 100) answers.push(taken.answer);
    rest = rest.subarray(taken.length);
  }
}

function takeAnswer(bytes: Buffer): { answer: RawAnswer; length: number } | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [first = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const [, status] = /^HTTP\/1\.[01] (\d{3}) /.exec(`${first} `) ?? [];
  if (status === undefined) return undefined;
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const start = end + 4;
  // The bus writes whole answers: one in chunks is left over, as what it is not.
  const length = status === "100" ? 0 : Number(headers["content-length"] ?? Number.POSITIVE_INFINITY);
  if (bytes.length < start + length) return undefined;
  const body = bytes.toString("utf8", start, start + length);
  return { answer: { status: Number(status), headers, body }, length: start + length };
}

/** For a first answer, also on a busy machine. */
const ANSWER_MS = 5000;
/** For an answer too many. */
const ANOTHER_MS = 100;

/**
 * Sends `bytes` on a connection of its own and gives what is answered. With `another`, it waits a little for more than one
 * answer.
 */
export async function answersTo(
  port: number,
  bytes: string | Uint8Array,
  { another = false } = {},
): Promise<RawAnswer[]> {
  const socket = await RawSocket.open(port);
  socket.send(bytes);
  const answered = (count: number) => (it: RawSocket) => it.ended || answersIn(it.received).answers.length >= count;
  await socket.until(answered(1), ANSWER_MS);
  if (another) await socket.until(answered(2), ANOTHER_MS);
  socket.destroy();
  const { answers, rest } = answersIn(socket.received);
  if (rest.length > 0 && answers.length === 0) throw new Error(`half an answer: ${rest.toString("latin1")}`);
  return answers;
}
