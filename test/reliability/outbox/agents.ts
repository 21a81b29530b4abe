/** Starts and kills processes that send through an outbox, and keeps what they were told. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";

const PROCESS = new URL("./sending-process.ts", import.meta.url).pathname;

/** A letter that was answered, in the order of the answers. */
export interface Told {
  readonly subject: string;
  readonly status: "sent" | "queued";
}

export interface Errand {
  readonly file: string;
  readonly url: string;
  readonly agent: string;
  readonly name: string;
  readonly letters: number;
  readonly pauseMs: number;
  /** Before this one it waits for goOn(). */
  readonly waitsAt: number;
}

export class SendingProcess {
  readonly name: string;
  readonly told: Told[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #complaint = "";

  constructor({ file, url, agent, name, letters, pauseMs, waitsAt }: Errand) {
    this.name = name;
    const words = [file, url, agent, name, ...[letters, pauseMs, waitsAt].map(String)];
    this.#child = spawn(process.execPath, [PROCESS, ...words], { stdio: ["pipe", "pipe", "pipe"] });
    onTestFinished(() => void this.#child.kill("SIGKILL"));
    if (this.#child.stdout === null || this.#child.stderr === null) throw new Error("no pipes");
    this.#child.stdin?.on("error", () => {}); // it may be dead
    // A line that is not whole was not said.
    const lines = createInterface({ input: this.#child.stdout });
    lines.on("line", (line) => {
      if (line.endsWith("}")) this.told.push(JSON.parse(line));
    });
    this.#child.stderr.on("data", (chunk: Buffer) => {
      this.#complaint += chunk.toString();
    });
    this.#ended = Promise.all([once(this.#child, "exit"), once(lines, "close")]);
  }

  get isEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  goOn(): void {
    this.#child.stdin?.end("go on\n");
  }

  /** Resolves when it has ended and all it said was read. Throws if it ended badly by itself. */
  async ended(): Promise<void> {
    await this.#ended;
    const { exitCode, signalCode } = this.#child;
    if (signalCode !== "SIGKILL" && exitCode !== 0) throw new Error(`${this.name} ended: ${this.#complaint}`);
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended();
  }
}
