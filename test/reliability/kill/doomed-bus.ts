/** A bus in a process of its own on one port, started again and again, and killed at any instant, also before it listens. */
import { type ChildProcess, spawn } from "node:child_process";
import net from "node:net";
import { onTestFinished } from "vitest";
import type { Chance } from "../../wire/seeded-chance.ts";

const MAIN = new URL("../../../dist/cli/main.js", import.meta.url).pathname;
/** Below the ports that the kernel gives away by itself: while the bus is dead nobody may take its place. */
const PORTS = { from: 10_000, to: 30_000 };

export async function freePort(chance: Chance): Promise<number> {
  for (;;) {
    const port = PORTS.from + chance.integer(PORTS.to - PORTS.from);
    const free = await new Promise<boolean>((resolve) => {
      const server = net.createServer();
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

export class DoomedBus {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #log = "";
  /** When it began to listen; undefined: not yet. */
  listensSince: number | undefined;

  private constructor(folder: string, port: number, flags: readonly string[]) {
    const settings = ["--port", String(port), "--store", `sqlite:${folder}/bus.db`, "--rate-limit", "off", ...flags];
    this.#child = spawn(process.execPath, [MAIN, "serve", ...settings], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { PATH: process.env["PATH"] },
    });
    this.#ended = new Promise((resolve) => this.#child.once("exit", () => resolve()));
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#log += chunk.toString();
      if (this.listensSince === undefined && this.#log.includes('"url":"')) this.listensSince = performance.now();
    });
  }

  static start(folder: string, port: number, flags: readonly string[] = []): DoomedBus {
    const bus = new DoomedBus(folder, port, flags);
    onTestFinished(() => void bus.#child.kill("SIGKILL"));
    return bus;
  }

  /** Lines that are no news, or worse than news: what a kill must not leave behind for the next start to complain of. */
  get complaints(): string[] {
    return this.#log.split("\n").filter((line) => line !== "" && !/^\{"level":[1-4]0/.test(line));
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** kill -9. Throws if it had ended by itself. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null) throw new Error(`the bus ended by itself: ${this.#log}`);
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}
