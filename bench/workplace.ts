/**
 * What a run leaves behind unless it is cleared: one temporary folder and its child processes. However the run ends, by
 * itself, by a failure or by Ctrl-C, they go.
 */
import type { ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export class Workplace {
  readonly folder: string;
  readonly #children = new Set<ChildProcess>();

  /** In a folder that is there already. */
  constructor(parent: string) {
    this.folder = mkdtempSync(join(parent, "agentbus-bench-"));
    process.once("exit", () => this.#clear());
    for (const signal of SIGNALS) process.once(signal, () => process.exit(128 + constants.signals[signal]));
  }

  /** A new folder inside. */
  newFolder(name: string): string {
    const folder = join(this.folder, name);
    mkdirSync(folder);
    return folder;
  }

  /** This child ends with the run at the latest. */
  keep(child: ChildProcess): void {
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
  }

  /** At the process's exit nothing can be waited for: all of it is synchronous. */
  #clear(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    // A child that is just dying may still write.
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}
