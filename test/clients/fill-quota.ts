/**
 * Uses up an agent's quota under its name, as another worker of that name would, until the agent was refused: however slow
 * the machine, it then has a RetryInfo to wait for.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { OneBus } from "./one-bus.ts";

/** Who gets these messages, and reads none of them. */
export const FILLER = "filler";
/** The bus takes one message of a sender in this time. */
export const WINDOW_MS = 1000;

/** Resolves once the window is full; from then on keeps it so. */
export async function fillQuota(bus: OneBus, sender: string, until: AbortSignal): Promise<void> {
  const fill = async (): Promise<number> => {
    const { status, body } = await bus.call("Send", { from: sender, to: FILLER });
    if (status === 200) return WINDOW_MS;
    const retry = body.details?.find(({ type }: { type: string }) => type === "google.rpc.RetryInfo");
    if (retry === undefined) throw new Error(`filling the quota of ${sender}: ${JSON.stringify(body)}`);
    return Number.parseFloat(retry.debug.retryDelay) * 1000;
  };
  const goOn = async (firstWait: number) => {
    for (let wait = firstWait; !until.aborted; wait = await fill()) await sleep(wait, undefined, { signal: until });
  };
  goOn(await fill()).catch((error: unknown) => {
    // What fails here shows in the agent's "retry"; that it was stopped is no failure.
    if (!until.aborted) process.stderr.write(`${error}\n`);
  });
}
