/**
 * What is measured on a bus: Sends, batches, leases with acks; and the same calls on the bare server. Everything that a
 * round stores in the workers' inboxes the round takes out again.
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
export async function busPhases({ port, pid }: Server, label = ""): Promise<BusPhases> {
  await register(
    port,
    Array.from({ length: RECIPIENTS }, (_, i) => recipientName(i)),
  );
  await register(
    port,
    Array.from({ length: WORKERS }, (_, i) => workerName(i)),
  );
  const connections = await LightConnection.openMany(port, Math.max(...SENDERS));
  const phase = (name: string, callers: Caller[], callsEach = 1): Phase => ({
    name: `${label}${name}`,
    run: (ms) => measureCalls({ callers, callsEach, pid }, ms),
  });
  return {
    sends: SENDERS.map((count) => phase(`Send, ${many(count, "sender")}`, connections.slice(0, count).map(sender))),
    batches: phase(
      `SendBatch of ${BATCH_SIZE}, ${many(BATCH_SENDERS, "sender")}`,
      connections.slice(0, BATCH_SENDERS).map(batchSender),
    ),
    leases: phase(
      `lease ${LEASED_AT_ONCE} + Ack, ${many(WORKERS, "worker")}`,
      connections.slice(0, WORKERS).map(worker),
      2,
    ),
  };
}

/** The same requests, answered by nobody in particular. */
export async function barePhases({ port, pid }: Server): Promise<Phase[]> {
  const connections = await LightConnection.openMany(port, Math.max(...SENDERS));
  return SENDERS.map((count) => ({
    name: `bare HTTP, ${many(count, "connection")}`,
    run: (ms) => measureCalls({ callers: connections.slice(0, count).map(sender), callsEach: 1, pid }, ms),
  }));
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
