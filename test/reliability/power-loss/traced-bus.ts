/** A real bus in a process of its own, every write and sync of which is recorded; syncs can be made to fail. */
import { join } from "node:path";
import { spawnBus } from "../../start-bus.ts";
import { crash } from "./crash.ts";
import { stracePrefix } from "./trace-reader.ts";

export interface TracedBus {
  readonly port: number;
  readonly trace: string;
  /** Resolves when it has ended and the trace is whole. */
  stop(): Promise<void>;
  /** kill -9. */
  crash(): Promise<void>;
}

/** The database is one folder deeper than the disk, so that the bus makes that one too. `inject`: as strace takes it. */
export async function startTracedBus(disk: string, name: string, inject: readonly string[] = []): Promise<TracedBus> {
  const trace = join(disk, `${name}.trace`);
  const store = `sqlite:${join(disk, "data", "bus.db")}`;
  const bus = await spawnBus({ store }, { folder: disk, prefix: stracePrefix(trace, inject) });
  return { port: bus.port, trace, stop: bus.stop, crash: () => crash(bus) };
}
