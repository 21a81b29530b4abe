/**
 * `agentbus inbox`: prints unread mail, and only then acknowledges it. It must not acknowledge anything that the
 * reader may not have got.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type Command, Option } from "commander";
import { v7 as uuidv7 } from "uuid";
import { type PullInboxResponse, PullInboxResponseSchema } from "#gen/agentbus/v1/message_bus_pb.js";
import type { MessageBusClient } from "../client/connect-bus.ts";
import {
  DEFAULT_LEASE_MESSAGES,
  DEFAULT_PULL_MESSAGES,
  MAX_LEASE_SECONDS,
  MAX_PULL_MESSAGES,
  MAX_WAIT_SECONDS,
} from "../message.ts";
import { answerOf, busOf } from "./call-bus.ts";
import { callCommand } from "./call-command.ts";
import { EXIT } from "./exit-codes.ts";
import { usageFailure } from "./failure.ts";
import { flushBefore } from "./flush-outbox.ts";
import { HOOK_HOSTS, inboxHook } from "./inbox-hook.ts";
import { messageText, timeText } from "./message-text.ts";
import { agentOf, type CommonOptions, callSettings, settle, wholeNumber } from "./setting-options.ts";
import { isThrownAway, say, writeAnswer } from "./write-output.ts";

const MAX_TOTAL_WAIT_SECONDS = 86_400;

interface InboxOptions extends CommonOptions {
  readonly look?: boolean;
  readonly lease?: number;
  readonly wait?: number;
  readonly max?: number;
  readonly hook?: (typeof HOOK_HOSTS)[number];
}

export function inboxCommand(): Command {
  // A hook must not be held up by what waits to be sent.
  return callCommand("inbox", { flushFirst: false })
    .description("Print unread mail, oldest first, and mark as read exactly what was printed and taken by the reader.")
    .addOption(new Option("--look", "Mark nothing: the same mail comes again.").conflicts("lease"))
    .option(
      "--lease <SECONDS>",
      `Mark nothing, but hide it from other workers this long, 1-${MAX_LEASE_SECONDS}; then ack it.`,
      wholeNumber(1, MAX_LEASE_SECONDS),
    )
    .option(
      "--wait <SECONDS>",
      `Wait this long for mail if there is none, 0-${MAX_TOTAL_WAIT_SECONDS}. (default: 0)`,
      wholeNumber(0, MAX_TOTAL_WAIT_SECONDS),
    )
    .option(
      "-n, --max <N>",
      `At most so many messages, 1-${MAX_PULL_MESSAGES}. (default: ${DEFAULT_PULL_MESSAGES}; ${DEFAULT_LEASE_MESSAGES} with --lease)`,
      wholeNumber(1, MAX_PULL_MESSAGES),
    )
    .addOption(
      new Option("--hook <HOST>", "For a hook of an agent's host: tell new mail once, mark nothing, never fail.")
        .choices(HOOK_HOSTS)
        .conflicts(["look", "lease", "wait", "max", "json"]),
    )
    .addHelpText(
      "after",
      `
Examples:
  agentbus inbox --as jack
  agentbus inbox --wait 300 --json --as jack
  agentbus inbox --lease 600 -n 1 --as jack     then: agentbus ack ID --lease LEASE --as jack
  agentbus inbox --hook claude-code --as jack   (see docs/hooks.md)`,
    )
    .action(inbox);
}

async function inbox(options: InboxOptions, command: Command): Promise<void> {
  if (options.hook !== undefined) return inboxHook(options.hook, command);
  if (!options.look && isThrownAway()) {
    throw usageFailure(
      "standard output is closed or /dev/null: nobody would read the mail. To see whether there is some, --look; to mark it as read unseen, agentbus ack ID",
    );
  }
  await flushBefore(command);
  const settings = settle(command, callSettings);
  const agent = agentOf(settings);
  const bus = busOf(settings, Math.min(MAX_WAIT_SECONDS, options.wait ?? 0));
  const answer = await pull(bus, agent, options);
  try {
    const empty = answer.messages.length === 0;
    if (!empty || options.json)
      await writeAnswer(options.json, PullInboxResponseSchema, answer, () => mailText(answer));
  } catch (error) {
    await giveBack(bus, agent, answer);
    throw error;
  }
  if (answer.messages.length === 0) {
    say(`no unread mail for ${agent}`);
    process.exitCode = EXIT.nothing;
    return;
  }
  if (!options.look && options.lease === undefined) await ackPrinted(bus, agent, answer);
  if (answer.hasMore) say(options.look ? "more mail waits: ack this, or raise -n" : "more mail waits: run it again");
}

/** Waits in as many calls as it takes, because a bus lets none wait longer than MAX_WAIT_SECONDS. */
async function pull(bus: MessageBusClient, agent: string, options: InboxOptions): Promise<PullInboxResponse> {
  const end = performance.now() + (options.wait ?? 0) * 1000;
  const request = {
    agent,
    maxMessages: options.max ?? 0,
    // A lease whose answer is lost on the way to us is taken up by the try at the next address.
    ...(options.lease !== undefined && { leaseSeconds: options.lease, requestId: uuidv7() }),
  };
  for (;;) {
    const start = performance.now();
    const waitSeconds = Math.min(MAX_WAIT_SECONDS, Math.ceil(Math.max(0, end - start) / 1000));
    const answer = await answerOf(bus.pullInbox({ ...request, waitSeconds }));
    const left = end - performance.now();
    if (answer.messages.length > 0 || left <= 0) return answer;
    // A bus that shuts down answers early: don't storm it.
    if (performance.now() - start < 1000) await delay(Math.min(1000, left));
  }
}

function mailText(answer: PullInboxResponse): string {
  const lease =
    answer.leaseId === undefined ? "" : `Lease: ${answer.leaseId}\nLease-Ends: ${timeText(answer.leaseExpireTime)}\n\n`;
  return lease + answer.messages.map((message) => messageText(message, process.stdout.isTTY)).join("\n");
}

/** What the reader did not get should not wait for the end of its lease, nor count as an attempt. */
async function giveBack(bus: MessageBusClient, agent: string, { leaseId }: PullInboxResponse): Promise<void> {
  // If it fails, the lease runs out by itself.
  if (leaseId !== undefined) await bus.modifyLease({ agent, leaseId, leaseSeconds: 0 }).catch(() => {});
}

async function ackPrinted(bus: MessageBusClient, agent: string, printed: PullInboxResponse): Promise<void> {
  const messageIds = printed.messages.map(({ id }) => id);
  const answer = await answerOf(
    bus.ack({ agent, messageIds }),
    () => "What was printed may not be acknowledged; if so, it comes again.",
  );
  const missed = [...answer.unknownMessageIds, ...answer.staleMessageIds];
  if (missed.length > 0) {
    say(`printed but not acknowledged, because another worker holds it or it is a dead letter: ${missed.join(" ")}`);
    process.exitCode = EXIT.refused;
  }
}
