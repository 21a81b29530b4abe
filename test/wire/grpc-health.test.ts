/** gRPC health checking: what probes see of a bus that serves, and of one that stops. */
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as Status } from "#gen/grpc/health/v1/health_pb.js";
import { startBus } from "../start-bus.ts";
import { everyTransport } from "./every-protocol.ts";

const SERVICE = "agentbus.v1.MessageBus";

async function probes(settings: object = {}) {
  const bus = await startBus(settings);
  const transports = Object.entries(everyTransport(bus));
  return { bus, clients: transports.map(([name, transport]) => [name, createClient(Health, transport)] as const) };
}

/** What a watcher is told, until it was told `count` times or there is no more. */
async function told(client: Client<typeof Health>, service: string, count: number, heard: (status: Status) => void) {
  for await (const { status } of client.watch({ service })) {
    heard(status);
    if (--count === 0) return;
  }
}

describe("gRPC health checking", () => {
  test("says SERVING in every protocol, of the whole and of its service, to whoever has no token", async () => {
    const { clients } = await probes({ token: "secret" });
    for (const [protocol, client] of clients) {
      for (const service of ["", SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"]) {
        expect(await client.check({ service }), `${protocol}, ${service}`).toMatchObject({ status: Status.SERVING });
        const statuses: Status[] = [];
        await told(client, service, 1, (status) => statuses.push(status));
        expect(statuses, `${protocol}, ${service}`).toEqual([Status.SERVING]);
      }
    }
  });

  test("knows nothing of other services: Check fails, Watch says SERVICE_UNKNOWN and goes on", async () => {
    const { clients } = await probes();
    for (const [protocol, client] of clients) {
      const refused = await client.check({ service: "agentbus.v9.MessageBus" }).catch(ConnectError.from);
      expect(refused, protocol).toMatchObject({ code: Code.NotFound });
      const statuses: Status[] = [];
      await told(client, "agentbus.v9.MessageBus", 1, (status) => statuses.push(status));
      expect(statuses, protocol).toEqual([Status.SERVICE_UNKNOWN]);
    }
  });

  test("tells those who watch when the bus stops, and lets them go", async () => {
    const { bus, clients } = await probes();
    const statuses: Record<string, Status[]> = {};
    const watching = clients.map(([protocol, client]) =>
      told(client, SERVICE, 9, (status) => {
        statuses[protocol] = [...(statuses[protocol] ?? []), status];
      }),
    );
    await expect.poll(() => Object.keys(statuses)).toHaveLength(clients.length);
    const began = performance.now();
    await bus.stop();
    await Promise.all(watching);
    expect(Object.values(statuses)).toEqual(clients.map(() => [Status.SERVING, Status.NOT_SERVING]));
    expect(performance.now() - began).toBeLessThan(3000);
  });
});
