/** `agentbus send`: one message to one agent, or to ALL. It must not know how mail is stored or read. */
import type { Command } from "commander";
import { v7 as uuidv7 } from "uuid";
import { SendResponseSchema } from "#gen/agentbus/v1/message_bus_pb.js";
import { MAX_TTL_SECONDS } from "../message.ts";
import { callCommand } from "./call-command.ts";
import { readBody } from "./read-body.ts";
import { sendThroughOutbox } from "./send-through-outbox.ts";
import { agentOf, type CommonOptions, callSettings, settle, wholeNumber } from "./setting-options.ts";
import { say, writeAnswer } from "./write-output.ts";

/** Also of `broadcast`. */
export interface SendOptions extends CommonOptions {
  readonly subject: string;
  readonly bodyFile?: string;
  readonly replyTo?: string;
  readonly ttl?: number;
  readonly requestId?: string;
}

export function sendCommand(): Command {
  return withSendOptions(callCommand("send", { flushFirst: false }))
    .description(
      "Send a message. Its id is printed once the bus has it on disk; while the bus is away it is kept in the outbox (4).",
    )
    .argument("<TO>", "Name of an agent; ALL for every registered agent.")
    .argument("[BODY]", 'The text; - reads it from standard input, "" sends none.')
    .addHelpText(
      "after",
      `
Examples:
  agentbus send jack "Please review PR 12." -s Review --as joe
  git diff | agentbus send jack - -s "The diff" --as joe
  agentbus send jack --body-file report.md -s Report --ttl 3600 --as joe`,
    )
    .action(send);
}

/** The options that a broadcast has as well. */
export function withSendOptions(command: Command): Command {
  return (
    command
      .option("-s, --subject <SUBJECT>", "What it is about, in one line. (required)")
      // Not by commander: it would ask for a subject before it says that --subjcet is unknown.
      .hook("preAction", (_, called) => {
        if (called.opts<Partial<SendOptions>>().subject === undefined) {
          called.error("required option '-s, --subject <SUBJECT>' not specified");
        }
      })
      .option("--body-file <FILE>", "Read the body from this file.")
      .option("--reply-to <ID>", "The message that this one answers.")
      .option(
        "--ttl <SECONDS>",
        `A dead letter if unread by then, 1-${MAX_TTL_SECONDS}. (default: never)`,
        wholeNumber(1, MAX_TTL_SECONDS),
      )
      .option(
        "--request-id <ID>",
        "Names this message: repeated with the same one it is stored once. (default: a new one)",
      )
  );
}

async function send(to: string, argument: string | undefined, options: SendOptions, command: Command): Promise<void> {
  const settings = settle(command, callSettings);
  const sender = agentOf(settings);
  const body = await readBody(argument, options.bodyFile);
  const content = { sender, recipient: to, subject: options.subject, body, ...sendFields(options) };
  const answer = await sendThroughOutbox(settings, content, options.json);
  if (answer === undefined) return;
  await writeAnswer(options.json, SendResponseSchema, answer, () => `${answer.id}\n`);
  sayRemarks(answer);
}

/** The fields that are named alike in a Send and a Broadcast. */
export function sendFields(options: Pick<SendOptions, "requestId" | "replyTo" | "ttl">) {
  return {
    requestId: options.requestId ?? uuidv7(),
    ...(options.replyTo !== undefined && { inReplyTo: options.replyTo }),
    ...(options.ttl !== undefined && { ttlSeconds: options.ttl }),
  };
}

export function sayRemarks(answer: { readonly deduplicated: boolean; readonly notice: string }): void {
  if (answer.deduplicated) say("already stored by an earlier request with this id; nothing was sent again");
  if (answer.notice !== "") say(answer.notice);
}
