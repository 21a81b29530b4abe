/**
 * The agents' side of a trace: tracers of the real OpenTelemetry SDK, and a small collector that they export to by OTLP
 * over HTTP. The bus knows nothing of either.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { propagation, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { onTestFinished } from "vitest";

/** As it came over the wire. */
export interface CollectedSpan {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** "": it is the first of its trace. */
  readonly parentSpanId: string;
}

export interface Collector {
  readonly url: string;
  readonly spans: readonly CollectedSpan[];
}

/** Takes POST /v1/traces with JSON, until the test ends. */
export async function startCollector(): Promise<Collector> {
  const spans: CollectedSpan[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (request.url === "/v1/traces") spans.push(...spansIn(JSON.parse(Buffer.concat(chunks).toString())));
      response.setHeader("content-type", "application/json").end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans };
}

/** ExportTraceServiceRequest of opentelemetry-proto, in its JSON. */
function spansIn({ resourceSpans }: any): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }: any) => {
    const service = resource.attributes.find(({ key }: any) => key === "service.name").value.stringValue;
    return scopeSpans.flatMap((scope: any) =>
      scope.spans.map(({ name, traceId, spanId, parentSpanId = "" }: any) => {
        return { service, name, traceId, spanId, parentSpanId };
      }),
    );
  });
}

export interface TracedAgent {
  /**
   * Does some work in a span of this agent's own, which goes on from a message's traceparent or begins a trace. The work
   * is given the traceparent that it must send on.
   */
  during<T>(span: string, from: string | undefined, work: (traceparent: string) => Promise<T>): Promise<T>;
  /** Exports what has ended. */
  flush(): Promise<void>;
}

/** An agent that is a service of its own to the collector. The propagator is the SDK's usual one: W3C Trace Context. */
export function tracedAgent(service: string, collector: Pick<Collector, "url">): TracedAgent {
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ "service.name": service }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${collector.url}/v1/traces` }))],
  });
  provider.register(); // what is global, the propagator, is the same for every agent
  onTestFinished(() => provider.shutdown());
  const tracer = provider.getTracer(service);
  return {
    async during(name, from, work) {
      const before = propagation.extract(ROOT_CONTEXT, from === undefined ? {} : { traceparent: from });
      const span = tracer.startSpan(name, {}, before);
      const carrier: Record<string, string> = {};
      propagation.inject(trace.setSpan(before, span), carrier);
      try {
        return await work(carrier["traceparent"] ?? "");
      } finally {
        span.end();
      }
    },
    flush: () => provider.forceFlush(),
  };
}
