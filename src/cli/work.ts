/**
 * `agentbus work`: runs a program for each message of an inbox, so that any program is an agent. It must not know how mail
 * is leased, nor how a program is run and ended.
 */
import { isUtf8 } from "node:buffer";
import type { Command } from "commander";
import type { Message } from "#gen/agentbus/v1/message_pb.js";
import { BusClient } from "../client/bus-client.ts";
import { LEASE_SECONDS, type Trouble } from "../client/inbox-reader.ts";
import { isBounce } from "../client/is-bounce.ts";
import { outboxFile } from "../client/outbox/outbox-file.ts";
import { type Job, MAX_CONCURRENCY, type WorkSummary } from "../client/work.ts";
import { environmentName, type SettingName, type Settings } from "../config.ts";
import { MAX_LEASE_SECONDS, MAX_MAX_BODY_BYTES } from "../message.ts";
import { answerOf, usable } from "./call-bus.ts";
import { durationBetween, durationOption, durationText } from "./duration.ts";
import { EXIT } from "./exit-codes.ts";
import { timeText } from "./message-text.ts";
import { replyOnce } from "./reply-once.ts";
import { ProgramError, requireProgram, runProgram, secondsSince } from "./run-program.ts";
import { sendKept } from "./send-through-outbox.ts";
import { type CommonOptions, callSettings, settingsCommand, settle, wholeNumber } from "./setting-options.ts";
import { type StopInSteps, stopInSteps } from "./stop-in-steps.ts";
import { say, writeDocument } from "./write-output.ts";

const MIN_LEASE_SECONDS = 2;
const DEFAULT_GRACE = "20s";
/** Who it works for is its argument. */
const workSettings = callSettings.filter((name) => name !== "agent");

interface WorkOptions extends CommonOptions {
  readonly reply?: boolean;
  readonly concurrency?: number;
  readonly once?: boolean;
  readonly timeout?: number;
  readonly lease?: number;
  readonly grace: number;
}

export function workCommand(): Command {
  return settingsCommand("work", workSettings, "Where:")
    .description(
      "Run COMMAND, without a shell, for each message of AGENT: the body on its stdin, the rest in AGENTBUS_* variables. " +
        "The message is leased while it runs. It ends with 0: done. With anything else the message comes again later, " +
        "at last as a dead letter, and its sender is told.",
    )
    .argument("<AGENT>", "Whose inbox.")
    .argument("<COMMAND...>", "Program and arguments, behind --.")
    .option("--reply", "Send what COMMAND prints as the reply; nothing printed: none.")
    .option(
      "--concurrency <N>",
      `Run it for so many messages at once, 1-${MAX_CONCURRENCY}. (default: 1)`,
      wholeNumber(1, MAX_CONCURRENCY),
    )
    .option("--once", "End once no mail waits; with 3 if there was none, with 1 if COMMAND failed.")
    .option(
      "--timeout <DURATION>",
      "End a COMMAND that runs longer, 1s-7d. (default: never)",
      durationBetween("1s", "7d"),
    )
    .option(
      "--lease <SECONDS>",
      `How soon another worker takes over when this one dies, ${MIN_LEASE_SECONDS}-${MAX_LEASE_SECONDS}. (default: ${LEASE_SECONDS})`,
      wholeNumber(MIN_LEASE_SECONDS, MAX_LEASE_SECONDS),
    )
    .addOption(
      durationOption(
        "--grace <DURATION>",
        "When told to stop, wait so long for what runs, 1s-1h; a second signal kills it.",
        ["1s", "1h"],
        DEFAULT_GRACE,
      ),
    )
    .addHelpText(
      "after",
      `
COMMAND finds AGENTBUS_MESSAGE_ID, _FROM, _TO, _SUBJECT, _IN_REPLY_TO,
_TIMESTAMP, _DELIVERY_ATTEMPT, _HOPS and _TRACEPARENT; and _URL, _AGENT and
_TOKEN, so that it can call agentbus itself. docs/work.md tells more.

Examples:
  agentbus work jack -- ./handle.sh
  agentbus work oracle --reply --concurrency 4 -- python answer.py
  agentbus work jack --once --timeout 10m -- ./handle.sh   (from cron)`,
    )
    .action(work);
}

async function work(agent: string, program: readonly string[], options: WorkOptions, command: Command): Promise<void> {
  const settings = settle(command, workSettings);
  requireProgram(program[0] ?? "");
  const address = { urls: settings.url, token: settings.token, agent };
  // It sends what COMMAND left in the outbox while the bus was away.
  const bus = usable(() => new BusClient({ ...address, outbox: settings.outbox }));
  // A reply is not kept there: it goes out while its lease is held, or another worker will do the work and reply.
  const replies = new BusClient({ ...address, outbox: false, retryForMs: 0 });
  let running = 0;
  const steps = stopInSteps(options.grace, () => {
    if (running === 0) say("stopping: nothing runs");
    else say(`stopping: waits up to ${durationText(options.grace)} for what runs; a second signal kills it`);
  });
  const before = () => sendKept(settings, agent);
  const answer: AnswerWith = (message, body, signal) => replyOnce(replies, { message, body, before }, signal);
  const handle = handlerOf(answer, program, options, environmentOf(settings, agent), steps);
  const handler: typeof handle = (message, job) => {
    running++;
    return handle(message, job).finally(() => running--);
  };
  try {
    const summary = await answerOf(
      bus.work(agent, handler, {
        concurrency: options.concurrency,
        leaseSeconds: options.lease,
        once: options.once,
        signal: steps.stop,
        onError: tellTrouble,
      }),
    );
    if (options.json) await writeDocument(summary);
    if (options.once && !steps.stop.aborted) process.exitCode = exitCodeOf(summary, agent);
  } finally {
    steps.forget();
    await Promise.all([bus.close(), replies.close()]);
  }
}

/** Sends a reply; what became of it, in words. */
type AnswerWith = (message: Message, body: string, signal: AbortSignal) => Promise<string>;

function handlerOf(
  answer: AnswerWith,
  program: readonly string[],
  { reply, json, timeout }: WorkOptions,
  environment: Readonly<Record<string, string | undefined>>,
  steps: StopInSteps,
): (message: Message, job: Job) => Promise<void> {
  return async (message, { signal: lost }) => {
    const name = `${message.id} from ${message.sender}`;
    // No task, whatever its body says.
    if (isBounce(message)) return say(`bounce ${name}: ${message.subject}; ${message.body}`);
    const began = performance.now();
    const end = AbortSignal.any([lost, steps.end]);
    const stdout = reply ? { maxBytes: MAX_MAX_BODY_BYTES } : { descriptor: json ? (2 as const) : (1 as const) };
    const env = { ...environment, ...variablesOf(message) };
    const run = { stdin: message.body, env, stdout, timeoutMs: timeout, end, kill: steps.kill };
    const printed = await runProgram(program, run);
    const took = `done ${name} in ${secondsSince(began)}`;
    if (printed.length === 0) return say(took);
    if (!isUtf8(printed)) throw new ProgramError("what it printed is not text in UTF-8, and so no reply");
    say(`${took}; ${await answer(message, printed.toString(), end)}`);
  };
}

/** Ours, with what COMMAND needs to speak to the same bus as the same agent. */
function environmentOf(settings: Settings, agent: string): Record<string, string | undefined> {
  const given: Partial<Record<SettingName, string | undefined>> = {
    url: settings.url.join(","),
    token: settings.token,
    // Whole, so that it is the same one wherever COMMAND goes.
    outbox: outboxFile(settings.outbox) ?? "off",
    agent,
  };
  const named = Object.entries(given).map(([name, value]) => [environmentName(name as SettingName), value]);
  return { ...process.env, ...Object.fromEntries(named) };
}

/** What it does not have is not set. */
function variablesOf(message: Message): Record<string, string | undefined> {
  return {
    AGENTBUS_MESSAGE_ID: message.id,
    AGENTBUS_FROM: message.sender,
    AGENTBUS_TO: message.recipient,
    AGENTBUS_SUBJECT: message.subject,
    AGENTBUS_IN_REPLY_TO: message.inReplyTo,
    AGENTBUS_TIMESTAMP: timeText(message.timestamp),
    AGENTBUS_DELIVERY_ATTEMPT: String(message.deliveryAttempt ?? 1),
    AGENTBUS_HOPS: String(message.hops ?? 0),
    AGENTBUS_TRACEPARENT: message.traceparent,
  };
}

/** One line a message; an outage is told once. */
function tellTrouble({ message: why }: Error, { during, message, retryInMs, failures }: Trouble): void {
  const again = retryInMs === undefined ? "" : `; again in ${durationText(retryInMs)}`;
  if (message === undefined) {
    if (failures === 1) say(`no mail can be asked for: ${why}; it goes on trying`);
  } else if (during === "handler") {
    const { id, sender, deliveryAttempt = 1 } = message;
    say(`failed ${id} from ${sender}, attempt ${deliveryAttempt}: ${why}${again}, unless that was its last`);
  } else if (failures === 1 || retryInMs === undefined) {
    say(`${during} of ${message.id}: ${why}${again}`);
  }
}

function exitCodeOf({ done, failed, lost }: WorkSummary, agent: string): number {
  if (failed + lost > 0) return EXIT.refused;
  if (done > 0) return EXIT.done;
  say(`no unread mail for ${agent}`);
  return EXIT.nothing;
}
