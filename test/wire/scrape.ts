/** GET /metrics, taken apart. It reads Prometheus' text format by its own document, and asserts nothing of what it says. */
import type { TestBus } from "../start-bus.ts";

export interface Scrape {
  /** Value by name and labels, in the order of their names: `up{code="ok",rpc="Send"}`. */
  readonly samples: ReadonlyMap<string, number>;
  /** "counter", "gauge" or "histogram", by name. */
  readonly kinds: ReadonlyMap<string, string>;
  /** Throws for a sample that is not there. */
  value(sample: string): number;
  /** Value by one label's value, of all samples of this name. */
  by(name: string, label: string): Record<string, number>;
}

export async function scrape(bus: Pick<TestBus, "url">, token?: string): Promise<Scrape> {
  const response = await fetch(`${bus.url}/metrics`, { headers: token === undefined ? {} : { "x-bus-token": token } });
  if (response.status !== 200) throw new Error(`GET /metrics answered ${response.status}: ${await response.text()}`);
  return parse(await response.text());
}

function parse(text: string): Scrape {
  const samples = new Map<string, number>();
  const kinds = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, named, kind] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (named !== undefined && kind !== undefined) kinds.set(named, kind);
    if (line === "" || line.startsWith("#")) continue;
    const [, name = "", labels, value = ""] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    const key = labels === undefined ? name : `${name}{${labelsIn(labels).join(",")}}`;
    if (samples.has(key)) throw new Error(`GET /metrics has ${key} twice`);
    samples.set(key, value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value));
  }
  return {
    samples,
    kinds,
    value(sample) {
      const value = samples.get(sample);
      if (value === undefined) throw new Error(`GET /metrics has no ${sample}`);
      return value;
    },
    by(name, label) {
      const found: Record<string, number> = {};
      for (const [key, value] of samples) {
        const [, of] = new RegExp(`^${name}\\{(?:.*,)?${label}="([^"]*)"`).exec(key) ?? [];
        if (of !== undefined) found[of] = value;
      }
      return found;
    },
  };
}

/** `code="ok"`, in order. */
function labelsIn(text: string): string[] {
  return [...text.matchAll(/\w+="(?:[^"\\]|\\.)*"/g)].map(([label]) => label).sort();
}
