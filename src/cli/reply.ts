/** `agentbus reply`: answers a message, to whoever it should go. It must not know how mail is stored or read. */
import type { Command } from "commander";
import { SendResponseSchema } from "#gen/agentbus/v1/message_bus_pb.js";
import type { Message } from "#gen/agentbus/v1/message_pb.js";
import type { MessageBusClient } from "../client/connect-bus.ts";
import { isBounce } from "../client/is-bounce.ts";
import { replySubject } from "../client/reply-subject.ts";
import { ALL, foldName, MAX_TTL_SECONDS } from "../message.ts";
import { answerOf, busOf } from "./call-bus.ts";
import { callCommand } from "./call-command.ts";
import { EXIT } from "./exit-codes.ts";
import { type Failure, refusal, usageFailure } from "./failure.ts";
import { readBody } from "./read-body.ts";
import { sayRemarks, sendFields } from "./send.ts";
import { sendThroughOutbox } from "./send-through-outbox.ts";
import { agentOf, type CommonOptions, callSettings, settle, wholeNumber } from "./setting-options.ts";
import { say, writeAnswer } from "./write-output.ts";

interface ReplyOptions extends CommonOptions {
  readonly subject?: string;
  readonly bodyFile?: string;
  readonly to?: string;
  readonly ttl?: number;
  readonly requestId?: string;
  readonly ack?: boolean;
}

export function replyCommand(): Command {
  return callCommand("reply")
    .description(
      "Answer a message: to its sender, with its subject. The id of the answer is printed once the bus has it on disk; while the bus is away it is kept in the outbox (4).",
    )
    .argument("<ID>", "Id of the message that you answer.")
    .argument("[BODY]", 'The text; - reads it from standard input, "" sends none.')
    .option("-s, --subject <SUBJECT>", "Instead of the message's own behind Re:.")
    .option("--body-file <FILE>", "Read the body from this file.")
    .option("--ack", "Mark the message as read once the answer is on the bus. (default: leave it as it is)")
    .option("--to <NAME>", "Send it there without looking the message up; needs -s.")
    .option(
      "--ttl <SECONDS>",
      `A dead letter if unread by then, 1-${MAX_TTL_SECONDS}. (default: never)`,
      wholeNumber(1, MAX_TTL_SECONDS),
    )
    .option(
      "--request-id <ID>",
      "Names this answer: repeated with the same one it is stored once. (default: a new one)",
    )
    .addHelpText(
      "after",
      `
Examples:
  agentbus reply 0198c0de-7a31-7c52-9d0e-3f1f4a1b2c3d "Done: merged as 4f2a." --ack --as jack
  make test 2>&1 | tail -n 50 | agentbus reply ID - -s "Test log" --as jack`,
    )
    .action(reply);
}

async function reply(id: string, argument: string | undefined, options: ReplyOptions, command: Command): Promise<void> {
  const settings = settle(command, callSettings);
  const sender = agentOf(settings);
  const body = await readBody(argument, options.bodyFile);
  const bus = busOf(settings);
  const heading = await headingOf(bus, sender, id, options);
  const content = { sender, ...heading, body, ...sendFields({ ...options, replyTo: id }) };
  const answer = await sendThroughOutbox(settings, content, options.json);
  if (answer === undefined) {
    if (options.ack) say(`${id} is not acknowledged: the bus is away`);
    return;
  }
  await writeAnswer(options.json, SendResponseSchema, answer, () => `${answer.id}\n`);
  sayRemarks(answer);
  if (options.ack) await ackAnswered(bus, sender, id);
}

async function headingOf(bus: MessageBusClient, agent: string, messageId: string, options: ReplyOptions) {
  const { to: recipient, subject } = options;
  if (recipient !== undefined) {
    if (subject === undefined) throw usageFailure("--to sends without looking the message up: give a subject with -s");
    return { recipient, subject };
  }
  const { message } = await answerOf(bus.getMessage({ agent, messageId }), adviseUnseen);
  if (message === undefined) throw refusal(`there is no message ${messageId}`);
  return { recipient: replyTo(message, agent), subject: subject ?? replySubject(message.subject) };
}

function adviseUnseen({ exitCode }: Failure): string | undefined {
  if (exitCode !== EXIT.unreachable) return undefined;
  return "The message can't be looked up to see who sent it: name them with --to NAME and -s SUBJECT.";
}

/** Like e-mail: to the sender; a further word to one's own message goes where that went. */
function replyTo(message: Message, agent: string): string {
  const { id, sender, recipient, inReplyTo } = message;
  if (isBounce(message)) {
    const original = inReplyTo ?? "ID";
    throw refusal(
      `${id} is a bounce: nobody reads answers to it. It tells of your message ${original}: see agentbus receipt ${original}, then send it again or to another agent.`,
    );
  }
  if (sender !== foldName(agent)) return sender;
  if (recipient !== ALL) return recipient;
  throw refusal(`${id} is your own broadcast; to write to everybody once more: agentbus broadcast --reply-to ${id}`);
}

async function ackAnswered(bus: MessageBusClient, agent: string, id: string): Promise<void> {
  const answer = await answerOf(
    bus.ack({ agent, messageIds: [id] }),
    () => `The answer is on the bus; agentbus ack ${id} marks the message as read.`,
  );
  if (answer.ackedCount > 0) return;
  say(`the answer was sent, but ${id} is not acknowledged: it is not in the inbox of ${agent}, or a dead letter`);
  process.exitCode = EXIT.refused;
}
