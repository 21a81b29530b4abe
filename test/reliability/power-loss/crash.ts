/** kill -9 of a bus that runs under strace. */
import { readdirSync, readFileSync } from "node:fs";
import type { BusProcess } from "../../start-bus.ts";

/** Ends the bus alone, so that strace writes its file to the end. Resolves when both are gone. */
export async function crash({ process: strace }: BusProcess): Promise<void> {
  const ended = new Promise<void>((resolve) => strace.once("exit", () => resolve()));
  process.kill(childOf(strace.pid), "SIGKILL");
  await ended;
}

/** strace starts one process: the bus. */
function childOf(parent: number | undefined): number {
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "latin1");
      // After the name, which may hold anything: the state, then the parent.
      if (
        Number(
          stat
            .slice(stat.lastIndexOf(")") + 1)
            .trim()
            .split(" ")[1],
        ) === parent
      )
        return Number(entry);
    } catch {
      // It has ended meanwhile.
    }
  }
  throw new Error(`strace (${parent}) has no child: did the bus end?`);
}
