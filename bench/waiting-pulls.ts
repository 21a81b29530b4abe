/**
 * A thousand pulls that wait, each for an inbox and on a connection of its own: what they cost a fresh bus in memory, and
 * how soon the right one has its answer once mail for it was sent.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { register } from "./bus-phases.ts";
import { LightConnection } from "./light-connection.ts";
import { sendRequest } from "./mail.ts";
import { residentBytes } from "./process-usage.ts";
import { settle } from "./settle.ts";
import type { Server } from "./start-servers.ts";

export const WAITERS = 1000;
export const WAKE_UPS = 100;
const WAIT_SECONDS = 50;
const LEASE_SECONDS = 60;
const WARMING = 16;
/** Coprime with the number of waiters, and odd. */
const STRIDE = 617;
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

const nextMail = sendRequest("waker", String);

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
  await settle(pid);
  const bytesBefore = residentBytes(pid);
  const senders = await LightConnection.openMany(port, WARMING);
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
    await Promise.race([settle(pid), failed]);
    const bytesWith = residentBytes(pid);
    await Promise.race([wakeAll(senders, waiters), failed]);
    await settle(pid);
    return { bytesBefore, bytesWith, wakeUps: await Promise.race([wakeOneByOne(senders[0], waiters), failed]) };
  } finally {
    ending = true;
    failed.catch(() => undefined);
    for (const connection of [...connections, ...senders]) connection.close();
  }
}

/** So that what is timed later is a bus that has run for a while: its code compiled, its heap grown. */
async function wakeAll(senders: readonly LightConnection[], waiters: readonly Waiter[]): Promise<void> {
  await Promise.all(
    senders.map(async (sender, first) => {
      for (let i = first; i < waiters.length; i += senders.length) await wake(sender, waiters[i] as Waiter);
    }),
  );
}

/** Both modes in turn, spread over the inboxes. */
async function wakeOneByOne(sender: LightConnection | undefined, waiters: readonly Waiter[]): Promise<WakeUp[]> {
  const wakeUps: WakeUp[] = [];
  for (let i = 0; i < 2 * WAKE_UPS; i++) {
    wakeUps.push(await wake(sender as LightConnection, waiters[(i * STRIDE) % WAITERS] as Waiter));
    await sleep(PAUSE_MS);
  }
  return wakeUps;
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

async function wake(sender: LightConnection, waiter: Waiter): Promise<WakeUp> {
  const arrival = new Promise<number>((resolve) => {
    waiter.arrived = resolve;
  });
  const request = JSON.stringify({ ...nextMail(), to: waiter.name });
  const issued = performance.now();
  const answered = sender.call("Send", request).then(() => performance.now());
  const [at, arrived] = await Promise.all([answered, arrival]);
  return { mode: waiter.mode, afterAnswerMs: arrived - at, afterIssueMs: arrived - issued };
}
