/**
 * grpc.health.v1.Health: what /readyz says, for gRPC probes. It knows statuses, not how they are found out.
 */
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import {
  type Health as HealthService,
  HealthCheckResponse_ServingStatus as Status,
} from "#gen/grpc/health/v1/health_pb.js";
import type { Health } from "./health.ts";
import { callKey } from "./rpc-door.ts";

/** `services`: full names of what is served. The empty name stands for all of it. */
export function grpcHealthMethods(health: Health, services: readonly string[]): ServiceImpl<typeof HealthService> {
  const isKnown = (service: string) => service === "" || services.includes(service);
  const statusOf = (status: string) => ({ status: status === "ok" ? Status.SERVING : Status.NOT_SERVING });
  return {
    async check({ service }, { values }) {
      const call = values.get(callKey);
      if (call !== undefined) call.judged = true;
      if (!isKnown(service)) throw new ConnectError("there is no such service here", Code.NotFound);
      return statusOf(await health.status());
    },
    async *watch({ service }, { signal }) {
      // The protocol wants an answer, not an error: the service may come with a later version.
      if (!isKnown(service)) yield { status: Status.SERVICE_UNKNOWN };
      for await (const status of health.changes(signal)) if (isKnown(service)) yield statusOf(status);
    },
  };
}
