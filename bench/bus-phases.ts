/**
 * What is measured on a bus: Sends, batches, leases with acks; and the same calls on the bare server. Batches fill the
 * inboxes that leases empty, so a phase of leases goes after one of batches.
 */
import { LightConnection } from "./light-connection.ts";
import { BATCH_SIZE, RECIPIENTS, recipientName, sendRequest } from "./mail.ts";
import { type Caller, measureCalls } from "./measure-calls.ts";
import type { Phase } from "./phases.ts";
import type { Server } from "./start-servers.ts";

export const SENDERS = [1, 16, 64] as const;
export const BATCH_SENDERS = 4;
export const WORKERS = 16;
/** The default of a pull with a lease. */
export const LEASED_AT_ONCE = 10;
const LEASE_SECONDS = 60;
const REGISTERING = 16;

export interface BusPhases {
  readonly sends: readonly Phase[];
  readonly batches: Phase;
  readonly leases: Phase;
}

/** Registers everyone first: mail to a name that nobody knows takes another path. */
export async function busPhases(server: Server, label = ""): Promise<BusPhases> {
  const recipients = Array.from({ length: RECIPIENTS }, (_, i) => recipientName(i));
  const workers = Array.from({ length: WORKERS }, (_, i) => workerName(i));
  await register(server.port, [...recipients, ...workers]);
  const phase = (name: string, count: number, caller: MakeCaller, callsEach = 1) =>
    callPhase(server, { name: `${label}${name}`, count, caller, callsEach, chores: true });
  return {
    sends: SENDERS.map((count) => phase(`Send, ${many(count, "sender")}`, count, sender)),
    batches: phase(`SendBatch of ${BATCH_SIZE}, ${many(BATCH_SENDERS, "sender")}`, BATCH_SENDERS, batchSender),
    leases: phase(`lease ${LEASED_AT_ONCE} + Ack, ${many(WORKERS, "worker")}`, WORKERS, worker, 2),
  };
}

/** The same requests, answered by nobody in particular. */
export function barePhases(server: Server): Phase[] {
  return SENDERS.map((count) =>
    callPhase(server, {
      name: `bare HTTP, ${many(count, "connection")}`,
      count,
      caller: sender,
      callsEach: 1,
      chores: false,
    }),
  );
}

type MakeCaller = (connection: LightConnection, number: number) => Caller;

interface CallPhase {
  readonly name: string;
  /** Of callers, each with a connection of its own. */
  readonly count: number;
  readonly caller: MakeCaller;
  readonly callsEach: number;
  readonly chores: boolean;
}

/** Connections live no longer than their phase: servers close idle ones. */
function callPhase({ port, pid }: Server, { name, count, caller, callsEach, chores }: CallPhase): Phase {
  const run = async (ms: number) => {
    const connections = await LightConnection.openMany(port, count);
    const sample = await measureCalls({ callers: connections.map(caller), callsEach, pid, chores }, ms);
    for (const connection of connections) connection.close();
    return sample;
  };
  return { name, run };
}

export async function register(port: number, names: readonly string[]): Promise<void> {
  const connections = await LightConnection.openMany(port, REGISTERING);
  await Promise.all(
    connections.map(async (connection, first) => {
      for (let i = first; i < names.length; i += REGISTERING) {
        await connection.call("RegisterAgent", JSON.stringify({ agent: names[i] }));
      }
      connection.close();
    }),
  );
}

function sender(connection: LightConnection, number: number): Caller {
  const next = sendRequest(`sender-${number}`, recipientName);
  return async () => {
    await connection.call("Send", JSON.stringify(next()));
    return 1;
  };
}

function batchSender(connection: LightConnection, number: number): Caller {
  const next = sendRequest(`batch-sender-${number}`, workerName);
  return async () => {
    const requests = Array.from({ length: BATCH_SIZE }, next);
    const answer = await connection.call("SendBatch", JSON.stringify({ requests }));
    if (answer.includes('"error"')) throw new Error(`a batch was refused: ${answer}`);
    return requests.length;
  };
}

/** Empties one inbox. */
function worker(connection: LightConnection, number: number): Caller {
  const agent = workerName(number);
  const pull = JSON.stringify({ agent, leaseSeconds: LEASE_SECONDS, maxMessages: LEASED_AT_ONCE });
  return async () => {
    const { messages, leaseId } = JSON.parse(await connection.call("PullInbox", pull)) as Pulled;
    if (messages.length === 0) return undefined;
    const messageIds = messages.map(({ id }) => id);
    await connection.call("Ack", JSON.stringify({ agent, messageIds, leaseId }));
    return messages.length;
  };
}

interface Pulled {
  readonly messages: readonly { readonly id: string }[];
  readonly leaseId?: string;
}

function workerName(number: number): string {
  return `worker-${number % WORKERS}`;
}

function many(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
