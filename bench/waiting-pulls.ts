/**
 * A thousand pulls that wait, each for an inbox and on a connection of its own: what they cost a fresh bus in memory, and
 * how soon the right one has its answer once mail for it was sent.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { register } from "./bus-phases.ts";
import { LightConnection } from "./light-connection.ts";
import { type SendRequest, sendRequest } from "./mail.ts";
import { residentBytes } from "./process-usage.ts";
import type { Server } from "./start-servers.ts";

export const WAITERS = 1000;
export const WAKE_UPS = 100;
const WAIT_SECONDS = 50;
const LEASE_SECONDS = 60;
const WARMING = 16;
/** For the collector, and for a thousand requests to be read. */
const SETTLE_MS = 700;
/** Between two wake-ups: the woken one acks and waits again. */
const PAUSE_MS = 5;

/** How waiters take their mail: looking writes nothing, a lease is one more commit. */
export type Mode = "look" | "lease";

export interface WakeUp {
  readonly mode: Mode;
  /** Since the Send was answered; below 0: the waiter was first. */
  readonly afterAnswerMs: number;
  readonly afterIssueMs: number;
}

export interface WaitingSample {
  readonly bytesBefore: number | undefined;
  readonly bytesWith: number | undefined;
  readonly wakeUps: readonly WakeUp[];
}

interface Waiter {
  readonly name: string;
  readonly mode: Mode;
  /** When its answer came: told to whoever sent to it. */
  arrived: (at: number) => void;
}

export async function measureWaiting({ port, pid }: Server): Promise<WaitingSample> {
  const waiters = Array.from({ length: WAITERS }, (_, i): Waiter => {
    return { name: `waiter-${i}`, mode: i % 2 === 0 ? "look" : "lease", arrived: () => undefined };
  });
  await register(
    port,
    waiters.map(({ name }) => name),
  );
  const next = sendRequest("waker", (number) => `waiter-${number % WAITERS}`);
  await warmUp(port, Array.from({ length: WAITERS }, next));
  await sleep(SETTLE_MS);
  const bytesBefore = residentBytes(pid);

  const sender = await LightConnection.open(port);
  const connections = await LightConnection.openMany(port, WAITERS);
  let ending = false;
  const ended = waiters.map(async (waiter, i) => {
    try {
      for (;;) await wait(connections[i] as LightConnection, waiter);
    } catch (error) {
      if (!ending) throw error;
    }
  });
  const failed = Promise.all(ended).then(() => {
    throw new Error("waiters ended before they were told to");
  });
  try {
    await Promise.race([sleep(SETTLE_MS), failed]);
    const bytesWith = residentBytes(pid);
    const wakeUps: WakeUp[] = [];
    // Both modes in turn, spread over the inboxes.
    for (let i = 0; i < 2 * WAKE_UPS; i++) {
      const waiter = waiters[(i * 617) % WAITERS] as Waiter;
      wakeUps.push(await Promise.race([wake(sender, waiter, next()), failed]));
      await sleep(PAUSE_MS);
    }
    return { bytesBefore, bytesWith, wakeUps };
  } finally {
    ending = true;
    failed.catch(() => undefined);
    for (const connection of [...connections, sender]) connection.close();
  }
}

/** As a bus that has run for a while: its code compiled, its heap grown. */
async function warmUp(port: number, requests: readonly SendRequest[]): Promise<void> {
  const connections = await LightConnection.openMany(port, WARMING);
  await Promise.all(
    connections.map(async (connection, first) => {
      for (let i = first; i < requests.length; i += WARMING) {
        const request = requests[i] as SendRequest;
        await connection.call("Send", JSON.stringify(request));
        await takeAll(connection, request.to, "lease", 0);
      }
      connection.close();
    }),
  );
}

async function wait(connection: LightConnection, waiter: Waiter): Promise<void> {
  const arrived = await takeAll(connection, waiter.name, waiter.mode, WAIT_SECONDS);
  if (arrived !== undefined) waiter.arrived(arrived);
}

/** Pulls once and acks; resolves to when the pull was answered, undefined: with nothing. */
async function takeAll(connection: LightConnection, agent: string, mode: Mode, waitSeconds: number) {
  const leaseSeconds = mode === "lease" ? LEASE_SECONDS : 0;
  const answer = await connection.call("PullInbox", JSON.stringify({ agent, waitSeconds, leaseSeconds }));
  const arrived = performance.now();
  const { messages } = JSON.parse(answer) as { messages: { id: string }[] };
  if (messages.length === 0) return undefined;
  await connection.call("Ack", JSON.stringify({ agent, messageIds: messages.map(({ id }) => id) }));
  return arrived;
}

async function wake(sender: LightConnection, waiter: Waiter, request: SendRequest): Promise<WakeUp> {
  const arrival = new Promise<number>((resolve) => {
    waiter.arrived = resolve;
  });
  const issued = performance.now();
  const answered = sender.call("Send", JSON.stringify({ ...request, to: waiter.name })).then(() => performance.now());
  const [at, arrived] = await Promise.all([answered, arrival]);
  return { mode: waiter.mode, afterAnswerMs: arrived - at, afterIssueMs: arrived - issued };
}
