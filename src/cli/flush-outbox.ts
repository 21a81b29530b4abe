/** `agentbus outbox flush`, and what every call of an agent does before its own work. It must not know how drafts are kept. */
import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { OutboxError } from "../client/outbox/outbox-errors.ts";
import type { Replayed, ReplayLimits } from "../client/outbox/replay.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { outboxSenderOf } from "./send-through-outbox.ts";
import { agentOf, type CommonOptions, callSettings, settle } from "./setting-options.ts";
import { say, writeDocument, writeOut } from "./write-output.ts";

const WITHOUT_LIMITS: ReplayLimits = { maxDrafts: Number.POSITIVE_INFINITY, maxMs: Number.POSITIVE_INFINITY };
/** How often --watch looks for new drafts. */
const LOOK_MS = 1000;
/** Between tries while the bus is away: the first wait, doubled up to the second. */
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;
/** A call that is made for something else should not wait long for drafts: what does not answer by then waits on. */
const ASIDE_TIMEOUT_MS = 5000;

interface FlushOptions extends CommonOptions {
  readonly watch?: boolean;
}

export async function flushOutbox(options: FlushOptions, command: Command): Promise<void> {
  const settings = settle(command, callSettings);
  const agent = agentOf(settings);
  const sender = outboxSenderOf(settings);
  try {
    for (let waitMs = FIRST_WAIT_MS; ; ) {
      const replayed = await sender.replay(agent, WITHOUT_LIMITS);
      if (!options.watch) return await tellOnce(replayed, options.json);
      const { stopped } = replayed;
      if (news(replayed) !== "" || (stopped && waitMs === FIRST_WAIT_MS)) {
        await writeOut(`${new Date().toISOString()} ${summary(replayed)}\n`);
        if (stopped) say(stopped.reason);
      }
      await delay(stopped === undefined ? LOOK_MS : Math.max(LOOK_MS, stopped.retryAfterMs ?? waitMs));
      waitMs = stopped === undefined || replayed.sent > 0 ? FIRST_WAIT_MS : Math.min(LONGEST_WAIT_MS, waitMs * 2);
    }
  } finally {
    sender.close();
  }
}

/** Before a call of that agent: nothing is said unless something moved, and nothing here ends the call. */
export async function flushBefore(command: Command): Promise<void> {
  const settings = settle(command, callSettings);
  if (settings.agent === undefined) return;
  const sender = outboxSenderOf(settings, ASIDE_TIMEOUT_MS);
  try {
    const replayed = await sender.replay(settings.agent);
    if (news(replayed) !== "") say(`outbox: ${summary(replayed)}`);
  } catch (error) {
    if (!(error instanceof OutboxError)) throw error;
    say(error.message);
  } finally {
    sender.close();
  }
}

async function tellOnce(replayed: Replayed, json: boolean | undefined): Promise<void> {
  const { sent, parked, setAside, expired, waiting, stopped } = replayed;
  const because = stopped && { reason: stopped.reason, retryAfterMs: stopped.retryAfterMs ?? null };
  if (json) await writeDocument({ sent, parked, setAside, expired, waiting, stopped: because ?? null });
  else await writeOut(`${summary(replayed)}\n`);
  if (stopped) say(stopped.reason);
  process.exitCode = exitCodeOf(replayed);
}

function exitCodeOf({ setAside, expired, stopped, waiting }: Replayed): ExitCode {
  if (setAside + expired > 0) return EXIT.refused;
  if (stopped?.isAway) return EXIT.unreachable;
  return waiting > 0 ? EXIT.queued : EXIT.done;
}

function summary(replayed: Replayed): string {
  const told = news(replayed);
  return `${told === "" ? "" : `${told}; `}waiting: ${replayed.waiting}`;
}

/** What moved, in words; empty: nothing. */
function news({ sent, parked, setAside, expired }: Replayed): string {
  return [
    sent > 0 && `sent: ${sent}`,
    parked > 0 && `put off, inbox full: ${parked}`,
    setAside > 0 && `refused and set aside: ${setAside} (see agentbus outbox)`,
    expired > 0 && `expired: ${expired} (see agentbus outbox)`,
  ]
    .filter((part) => part !== false)
    .join(", ");
}
