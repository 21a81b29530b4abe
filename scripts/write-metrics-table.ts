/** Writes the table of metrics into docs/operations.md, from those that a bus registers. `--check`: see write-table.ts. */
import { addFleetGauges } from "../src/server/fleet-gauges.ts";
import { createLog } from "../src/server/log.ts";
import { Metrics } from "../src/server/metrics.ts";
import { writeTable } from "./write-table.ts";

const { registry } = new Metrics();
/** Nothing is asked of it: only what the gauges are called is. */
const store = { inboxes: () => Promise.reject(), space: () => Promise.reject() };
addFleetGauges(registry, { store, waiting: () => 0, clock: () => 0, log: createLog("silent") });

const rows = registry.getMetricsAsArray().map((metric) => {
  // prom-client has them, its types don't say so.
  const { labelNames } = metric as unknown as { labelNames: readonly string[] };
  const labels = labelNames.map((label) => `\`${label}\``).join(", ");
  return `| \`${metric.name}\` | ${metric.type} | ${labels} | ${metric.help} |`;
});
writeTable("docs/operations.md", "metrics", ["| metric | type | labels | |", "|---|---|---|---|", ...rows]);
