/**
 * The dashboard and the alerts of docs/monitoring ask only for what a live bus exports: every metric, label and value that
 * they name. And every metric of the bus's own is in the table of docs/operations.md.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { startBus, temporaryFolder } from "./start-bus.ts";
import { type Scrape, scrape } from "./wire/scrape.ts";

const page = (name: string) => readFileSync(new URL(`../docs/${name}`, import.meta.url), "utf8");

/** Labels that Prometheus adds by itself. */
const ADDED = ["job", "instance"];
/** Words of PromQL that stand where a metric or a label could. */
const WORDS = new Set(
  "sum min max avg count by without on ignoring and or unless offset topk rate increase time absent clamp_min histogram_quantile".split(
    " ",
  ),
);

/** One query and the texts that speak of its result. */
interface Query {
  readonly where: string;
  readonly expr: string;
  readonly texts: string;
}

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat?: string }[];
}

function queriesOfDashboard(): Query[] {
  const { panels } = JSON.parse(page("monitoring/dashboard.json")) as { panels: Panel[] };
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat = "" }) => ({ where: title, expr, texts: legendFormat })),
  );
}

/** Each `expr` stands on one line. */
function queriesOfAlerts(): Query[] {
  const alerts = page("monitoring/alerts.yml").split("- alert: ").slice(1);
  return alerts.map((texts) => {
    const [, expr = ""] = /^ +expr: (.+)$/m.exec(texts) ?? [];
    return { where: texts.split("\n", 1)[0] ?? "", expr, texts };
  });
}

/** Of one metric, under each of its names: labels, and the values they had. */
type Exported = ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>;

function exportedBy({ samples, kinds }: Scrape): Exported {
  const found = new Map<string, Map<string, Set<string>>>();
  for (const name of kinds.keys()) found.set(name, new Map());
  for (const sample of samples.keys()) {
    const [, name = "", labels = ""] = /^(\w+)(?:\{(.*)\})?$/.exec(sample) ?? [];
    const of = found.get(name) ?? new Map<string, Set<string>>();
    found.set(name, of);
    for (const [, label = "", value = ""] of labels.matchAll(/(\w+)="([^"]*)"/g)) {
      of.set(label, (of.get(label) ?? new Set()).add(value));
    }
  }
  return found;
}

/** What a query names and the bus does not export; empty: nothing. */
function missingFrom(exported: Exported, { expr, texts }: Query): string[] {
  const missing: string[] = [];
  const labels = new Set(ADDED);
  const selectors = /([a-zA-Z_]\w*)(?:\{([^}]*)\})?/g;
  // Durations, and lists of labels, are no metrics.
  const bare = expr.replace(/\[[^\]]*\]/g, "").replace(/\b(by|on|without|ignoring) \([^)]*\)/g, "");
  for (const [, name = "", matchers = ""] of bare.matchAll(selectors)) {
    if (WORDS.has(name) || name === "up") continue;
    const of = exported.get(name);
    if (of === undefined) missing.push(name);
    for (const label of of?.keys() ?? []) labels.add(label);
    for (const [, label = "", operator, value = ""] of matchers.matchAll(/(\w+)(=~|!=|=)"([^"]*)"/g)) {
      if (ADDED.includes(label)) continue;
      if (!of?.has(label)) missing.push(`${name}{${label}}`);
      else if (operator === "=" && !of.get(label)?.has(value)) missing.push(`${name}{${label}="${value}"}`);
    }
  }
  const named = [...expr.matchAll(/\b(?:by|on|without|ignoring) \(([^)]*)\)/g)].flatMap(([, list = ""]) =>
    list.split(/, */),
  );
  const shown = [...texts.matchAll(/\{\{ *(?:\$labels\.)?(\w+) *\}\}/g)].map(([, label = ""]) => label);
  for (const label of [...named, ...shown]) if (!labels.has(label)) missing.push(label);
  return missing;
}

describe("docs/monitoring", () => {
  let exported: Exported;
  let own: string[];

  /** A bus that has seen something of everything. */
  beforeAll(async () => {
    const free: (() => unknown)[] = [];
    const atEnd = (one: () => unknown) => void free.unshift(one);
    const bus = await startBus({ rateLimit: "3/hour" }, temporaryFolder(atEnd), atEnd);
    await bus.ok("Send", { from: "joe", to: "jack" });
    await bus.ok("Send", { from: "joe", to: "jack", requestId: "r" });
    await bus.ok("Send", { from: "joe", to: "jack", requestId: "r" });
    await bus.ok("Send", { from: "joe", to: "jill", ttlSeconds: 1 });
    await bus.call("Send", { from: "joe", to: "jack" });
    await bus.ok("PullInbox", { agent: "idle", waitSeconds: 1 });
    const seen = await scrape(bus);
    exported = exportedBy(seen);
    own = [...seen.kinds.keys()].filter((name) => name.startsWith("agentbus_"));
    for (const one of free) await one();
  });

  test("names in its dashboard only what the bus exports", () => {
    const queries = queriesOfDashboard();
    expect(queries.length).toBeGreaterThan(30);
    expect(queries.flatMap((query) => missingFrom(exported, query).map((name) => `${query.where}: ${name}`))).toEqual(
      [],
    );
  });

  test("names in its alerts only what the bus exports", () => {
    const queries = queriesOfAlerts();
    expect(queries.length).toBeGreaterThanOrEqual(10);
    const missing = queries.flatMap((query) => missingFrom(exported, query).map((name) => `${query.where}: ${name}`));
    // A healthy bus has none to show.
    expect(missing).toEqual(['AgentbusInternalErrors: agentbus_requests_total{code="internal"}']);
  });

  test("would be told of a metric, a label or a value that is not there", () => {
    const told = (expr: string, texts = "") => missingFrom(exported, { where: "", expr, texts });
    expect(told("rate(agentbus_nothing_total[5m])")).toEqual(["agentbus_nothing_total"]);
    expect(told('agentbus_dead_letters_total{cause="EXPIRED"}')).toEqual(["agentbus_dead_letters_total{cause}"]);
    expect(told('agentbus_dead_letters_total{reason="OLD"}')).toEqual(['agentbus_dead_letters_total{reason="OLD"}']);
    expect(told("sum by (rpc, agent) (agentbus_requests_total)")).toEqual(["agent"]);
    expect(told("agentbus_agents", "{{ $labels.agent }}")).toEqual(["agent"]);
    expect(told("agentbus_agents", "{{agent}}")).toEqual(["agent"]);
    expect(told('sum by (job, rpc, le) (rate(agentbus_request_duration_seconds_bucket{job="b"}[5m]))')).toEqual([]);
  });

  test("and every metric of the bus's own is in the table of operations.md", () => {
    const table = [...page("operations.md").matchAll(/^\| `(agentbus_\w+)` \|/gm)].map(([, name]) => name);
    expect(own.length).toBeGreaterThan(20);
    expect(own.toSorted()).toEqual(table.toSorted());
  });
});
