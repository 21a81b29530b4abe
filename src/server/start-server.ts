/**
 * Puts a bus together from settings: store, rules, doors, one port; and takes it down again without losing anybody. The
 * only file that knows all of them.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { MessageBus } from "#gen/agentbus/v1/message_bus_pb.js";
import { Health as GrpcHealth } from "#gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "#gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "#gen/grpc/reflection/v1alpha/reflection_pb.js";
import { Bus } from "../bus.ts";
import { steadyClock } from "../clock.ts";
import { SettingError, type Settings } from "../config.ts";
import { Doorbell } from "../doorbell.ts";
import { Housekeeping } from "../housekeeping.ts";
import { newMessageId } from "../message-id.ts";
import { openStore } from "../store/open-store.ts";
import { Admission } from "./admission.ts";
import { Cors } from "./cors.ts";
import { DiskWatch } from "./disk-watch.ts";
import { malformedAnswer, toWireError } from "./error-answer.ts";
import { addFleetGauges } from "./fleet-gauges.ts";
import { grpcHealthMethods } from "./grpc-health.ts";
import { Health } from "./health.ts";
import { createHttpDoor } from "./http-door.ts";
import { LeasedAnswers } from "./leased-answers.ts";
import { Load } from "./load.ts";
import type { Logger } from "./log.ts";
import { isLoopback } from "./loopback.ts";
import { Metrics } from "./metrics.ts";
import type { Mounts } from "./mounted-door.ts";
import { OnePortServer } from "./one-port.ts";
import { reflectionMethods } from "./reflection.ts";
import { messageBusMethods } from "./rpc.ts";
import { RpcDoor } from "./rpc-door.ts";
import { readTls, type TlsFiles, watchTls } from "./tls-files.ts";

/** v1alpha is what most tools ask first; but for its name it is v1. */
const REFLECTION = [ServerReflection, ServerReflectionAlpha as unknown as typeof ServerReflection] as const;
const SERVICES = [MessageBus, GrpcHealth, ...REFLECTION];
/** Nobody has more to ask of health and reflection, in bytes. */
const SMALL = { readMaxBytes: 4096 };
/** Calls under way may take this long at shutdown before they are cut. */
const GRACE_MS = 4000;

export interface RunningBus {
  /** Where it listens, such as http://127.0.0.1:8091. */
  readonly url: string;
  readonly port: number;
  /** Answers long polls empty, finishes what is being written, closes the store; within 5 s. */
  close(): Promise<void>;
}

/**
 * `mounts` are doors of other rooms, by their paths. Throws an Error that says what to change when it can't start; nothing
 * is left open then.
 */
export async function startServer(settings: Settings, log: Logger, mounts: Mounts = {}): Promise<RunningBus> {
  const open = settings.token === undefined && !settings.requireAgentTokens;
  if (open && !isLoopback(settings.host)) {
    throw new SettingError(
      `--host ${settings.host} is open to others and there is no token; set AGENTBUS_TOKEN or --require-agent-tokens, or listen on 127.0.0.1`,
    );
  }
  const tlsFiles = tlsFilesOf(settings);
  const tls = tlsFiles && readTls(tlsFiles);
  const clock = steadyClock();
  const doorbell = new Doorbell();
  const metrics = new Metrics();
  const store = await openStore(settings.store, {
    clock,
    policy: settings,
    observer: metrics,
    ring: (inbox) => (inbox === undefined ? doorbell.ringAll() : doorbell.ring(inbox)),
  });
  const newId = () => newMessageId(clock());
  const housekeeping = new Housekeeping(store, (err, chore) => log.error({ err, chore }, "a chore failed"));
  const bus = new Bus({ store, doorbell, clock, newId, limits: settings });
  const load = new Load(settings.maxCalls, () => doorbell.waiting);
  const cors = new Cors(settings.corsOrigin ?? []);
  const admission = new Admission({
    token: settings.token,
    requireAgentTokens: settings.requireAgentTokens,
    allowsOrigin: (origin) => cors.allows(origin),
    findToken: (hash) => store.findToken(hash),
    requireRoom: () => load.requireRoom(),
    suspicious: (address) => log.warn({ address }, "a wrong token came"),
  });
  const health = new Health(store);
  const draining = new AbortController();
  addFleetGauges(metrics.registry, { store, waiting: () => doorbell.waiting, clock, log });
  const methods = { bus, answers: new LeasedAnswers(), load, metrics, log };
  const rpc = new RpcDoor({
    routes: (router) => {
      router.service(MessageBus, messageBusMethods(methods));
      router.service(
        GrpcHealth,
        grpcHealthMethods(
          health,
          SERVICES.map(({ typeName }) => typeName),
        ),
        SMALL,
      );
      for (const service of REFLECTION) {
        router.service(service, reflectionMethods(SERVICES), { ...SMALL, shutdownSignal: draining.signal });
      }
    },
    admission,
    open: [GrpcHealth.typeName],
    toWireError: (error, what) => toWireError(error, what, log),
    answered: ({ parent, name }, code) => {
      if (parent.typeName === MessageBus.typeName) metrics.answered(name, code);
    },
  });
  const server: OnePortServer = new OnePortServer({
    handler: createHttpDoor({
      ...{ methods, rpc, admission, cors, health, log, mounts },
      secure: tls !== undefined,
      connect: () => server.connect(),
    }),
    malformed: malformedAnswer,
    tls,
  });
  let port: number;
  try {
    port = await server.listen(settings.port, settings.host);
  } catch (error) {
    await store.close();
    throw explainListenError(error, settings);
  }
  const unwatch =
    tlsFiles &&
    watchTls(
      tlsFiles,
      (material) => {
        server.useTls(material);
        log.info(tlsFiles, "a new certificate is in use");
      },
      (err) => log.error({ err }, "the changed certificate can't be used; the old one stays"),
    );
  const url = `${tls ? "https" : "http"}://${settings.host.includes(":") ? `[${settings.host}]` : settings.host}:${port}`;
  log.info({ url, store: settings.store, token: settings.token !== undefined }, "agentbus listens");
  if (open) log.warn("no token is set: everyone on this machine may act as any agent");

  housekeeping.start();
  const diskWatch = new DiskWatch(store, log);
  diskWatch.start();

  let closing: Promise<void> | undefined;
  const close = async () => {
    log.info({ waiting: doorbell.waiting }, "agentbus stops");
    unwatch?.();
    health.drain();
    draining.abort(new ConnectError("DRAINING: the bus shuts down", Code.Unavailable));
    admission.drain();
    doorbell.drain();
    await server.close(GRACE_MS);
    diskWatch.stop();
    await housekeeping.stop();
    await store.close();
    log.info("agentbus stopped");
  };
  return {
    url,
    port,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

function tlsFilesOf({ tlsCert: cert, tlsKey: key }: Settings): TlsFiles | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) throw new SettingError("--tls-cert and --tls-key go together");
  return { cert, key };
}

function explainListenError(error: unknown, { host, port }: Settings): Error {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE") {
    return new Error(`port ${port} on ${host} is taken; stop what uses it, or choose another with --port`, {
      cause: error,
    });
  }
  return new Error(`can't listen on ${host}:${port}: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}
