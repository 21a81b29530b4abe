/**
 * What prom-client tells of this process: memory, CPU, event loop, garbage collector, descriptors. One for the process,
 * however many buses it has: the monitors behind it can't be stopped.
 */
import { collectDefaultMetrics, Registry } from "prom-client";

/** Each scrape would walk through every connection for these; process_open_fds tells as much. */
const COSTLY = ["handles", "requests", "resources"].flatMap((what) => [
  `nodejs_active_${what}`,
  `nodejs_active_${what}_total`,
]);

let registry: Registry | undefined;

export function processMetrics(): Registry {
  if (registry === undefined) {
    registry = new Registry();
    collectDefaultMetrics({ register: registry });
    for (const name of COSTLY) registry.removeSingleMetric(name);
  }
  return registry;
}
