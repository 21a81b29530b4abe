/**
 * Sends what a command has to send: live, or into the outbox while the bus is away. The one place where the command line
 * says what `queued` means. It must not know which command sends.
 */
import type { SendResponse } from "#gen/agentbus/v1/message_bus_pb.js";
import type { Letter, NamedLetter } from "../client/outbox/draft.ts";
import { liveSendOver } from "../client/outbox/live-send.ts";
import { outboxFile } from "../client/outbox/outbox-file.ts";
import { OutboxSender } from "../client/outbox/outbox-sender.ts";
import type { Settings } from "../config.ts";
import { answerOf, busOf, repeatSafely } from "./call-bus.ts";
import { EXIT } from "./exit-codes.ts";
import { localFailure } from "./failure.ts";
import { say, writeDocument } from "./write-output.ts";

/**
 * The bus's answer; undefined: it is kept, which has been told by then (stderr, the document of --json, the exit code).
 * Fails with a Failure. A letter whose request_id the caller chose can be repeated with the same one.
 */
export async function sendThroughOutbox(
  settings: Settings,
  letter: NamedLetter,
  json: boolean | undefined,
): Promise<SendResponse | undefined> {
  const sender = outboxSenderOf(settings);
  try {
    const outcome = await answerOf(sender.send(letter), repeatSafely(letter.requestId));
    if (outcome.status === "sent") return outcome.response;
    await tellQueued(outcome, letter, json);
    return undefined;
  } finally {
    sender.close();
  }
}

/** The outbox of the bus that the settings name. Close it. */
export function outboxSenderOf(settings: Settings, timeoutMs?: number): OutboxSender {
  const { outbox, url: urls } = settings;
  return new OutboxSender({ file: outboxFile(outbox), urls, live: liveSendOver(busOf(settings, 0, timeoutMs)) });
}

/**
 * For what is sent past the outbox: what was kept goes first, so that nobody reads an answer before what led to it. Says
 * what goes wrong with that, and ends nothing.
 */
export async function sendKept(settings: Settings, agent: string): Promise<void> {
  const outbox = outboxSenderOf(settings);
  try {
    const { waiting, stopped } = await outbox.replay(agent);
    // That the bus is away is told by what comes next.
    if (waiting > 0 && !stopped?.isAway) say(`drafts of ${agent} that could not be sent first, and wait: ${waiting}`);
  } catch (error) {
    say(`drafts of ${agent} could not be sent first: ${localFailure(error).message}`);
  } finally {
    outbox.close();
  }
}

async function tellQueued(
  { requestId, waiting, reason }: { readonly requestId: string; readonly waiting: number; readonly reason: string },
  { sender }: Letter,
  json: boolean | undefined,
): Promise<void> {
  process.exitCode = EXIT.queued;
  say(
    `QUEUED: not sent, but safe on this host's disk (${reason}). Don't send it again: the next call of ${sender} to this bus sends it, or "agentbus outbox flush". Waiting now: ${waiting}.`,
  );
  if (json) await writeDocument({ status: "queued", requestId, waiting });
}
