/** A real bus in a process of its own, some of whose system calls on the database's files fail: strace sees to that. */
import { join } from "node:path";
import { type BusProcess, spawnBus } from "../../start-bus.ts";

export interface Fault {
  readonly calls: string;
  readonly error: "EIO" | "EROFS" | "ENOSPC";
  /** Which of these calls, counted in each thread, as strace takes it: FIRST[..LAST][+STEP]. */
  readonly when: string;
  /** Only on these files; all of the database's otherwise. */
  readonly files?: readonly string[];
}

const FILES = ["bus.db", "bus.db-wal", "bus.db-journal"];

/** Throws, with what it said, when the bus does not start. */
export function startFaultyBus(folder: string, { calls, error, when, files = FILES }: Fault): Promise<BusProcess> {
  const paths = files.flatMap((name) => ["-P", join(folder, name)]);
  const fault = ["-e", `trace=${calls}`, "-e", `inject=${calls}:error=${error}:when=${when}`];
  // Other calls go untraced: at full speed.
  const prefix = ["strace", "-f", "--seccomp-bpf", ...paths, ...fault, "-o", "/dev/null"];
  return spawnBus({ store: `sqlite:${folder}/bus.db` }, { folder, prefix });
}
