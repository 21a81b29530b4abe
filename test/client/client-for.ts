/** Clients for tests, closed when the test that made them ends. */
import { onTestFinished } from "vitest";
import { BusClient, type BusClientOptions } from "#dist/client/index.js";
import type { TestBus } from "../start-bus.ts";

/** Of joe, and without an outbox, unless an option says otherwise. */
export function clientFor(bus: Pick<TestBus, "url">, options: BusClientOptions = {}): BusClient {
  const client = new BusClient({ urls: bus.url, agent: "joe", outbox: false, ...options });
  onTestFinished(() => client.close());
  return client;
}
