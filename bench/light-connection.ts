/**
 * One keep-alive HTTP/1.1 connection that makes Connect calls in JSON, one at a time, at a few microseconds each: a
 * generated client would be slower than the bus. It reads only what a bus answers.
 */
import net from "node:net";

/** Longer than the longest wait of a pull. */
const SILENCE_MS = 60_000;
const END_OF_HEAD = "\r\n\r\n";

interface Waiting {
  readonly resolve: (body: string) => void;
  readonly reject: (error: Error) => void;
}

export class LightConnection {
  readonly #socket: net.Socket;
  #waiting: Waiting | undefined;
  #read: Buffer = Buffer.alloc(0);
  #failure: Error | undefined;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the server closed the connection")));
    socket.setTimeout(SILENCE_MS, () => this.#fail(new Error(`no answer for ${SILENCE_MS / 1000} s`)));
  }

  static open(port: number): Promise<LightConnection> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port, host: "127.0.0.1", noDelay: true }, () => {
        socket.off("error", reject);
        resolve(new LightConnection(socket));
      });
      socket.once("error", reject);
    });
  }

  static openMany(port: number, count: number): Promise<LightConnection[]> {
    return Promise.all(Array.from({ length: count }, () => LightConnection.open(port)));
  }

  /** Resolves to the answer's JSON, unparsed. Throws unless it is 200. */
  call(method: string, json: string): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      if (this.#waiting !== undefined) return reject(new Error("one call at a time"));
      this.#waiting = { resolve, reject };
      this.#socket.write(
        `POST /agentbus.v1.MessageBus/${method} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(json)}\r\n\r\n${json}`,
      );
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    const bytes = this.#read.length === 0 ? chunk : Buffer.concat([this.#read, chunk]);
    this.#read = bytes;
    const end = bytes.indexOf(END_OF_HEAD);
    if (end < 0) return;
    const head = bytes.toString("latin1", 0, end);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1]);
    if (Number.isNaN(length)) return void this.#fail(new Error(`an answer without content-length: ${head}`));
    const from = end + END_OF_HEAD.length;
    if (bytes.length < from + length) return;
    const body = bytes.toString("utf8", from, from + length);
    this.#read = bytes.subarray(from + length);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (head.startsWith("HTTP/1.1 200 ")) waiting?.resolve(body);
    else waiting?.reject(new Error(`${head.split("\r\n", 1)[0]} ${body}`));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
    this.#socket.destroy();
  }
}
