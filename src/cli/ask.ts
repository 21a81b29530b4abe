/**
 * `agentbus ask`: sends a question, waits for its answer and prints that. It must not touch any other mail, nor know how
 * an answer is found.
 */
import { create } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { v7 as uuidv7 } from "uuid";
import { GetMessageResponseSchema } from "#gen/agentbus/v1/message_bus_pb.js";
import type { Message } from "#gen/agentbus/v1/message_pb.js";
import { awaitAnswer } from "../client/await-answer.ts";
import { BusClient } from "../client/bus-client.ts";
import type { MessageBusClient } from "../client/connect-bus.ts";
import { isBounce } from "../client/is-bounce.ts";
import { answerOf, repeatSafely, usable } from "./call-bus.ts";
import { callCommand } from "./call-command.ts";
import { durationOption, durationText } from "./duration.ts";
import { EXIT } from "./exit-codes.ts";
import { Failure } from "./failure.ts";
import { messageText } from "./message-text.ts";
import { stateOfQuestion } from "./question-state.ts";
import { readBody } from "./read-body.ts";
import { sayRemarks } from "./send.ts";
import { sendKept } from "./send-through-outbox.ts";
import { agentOf, type CommonOptions, callSettings, settle } from "./setting-options.ts";
import { untilSignal } from "./until-signal.ts";
import { say, writeAnswer } from "./write-output.ts";

const DEFAULT_TIMEOUT = "10m";
/** A bus that restarts is back by then; one that is away longer is told of, for a question is not kept. */
const SEND_MS = 10_000;

interface AskOptions extends CommonOptions {
  readonly subject: string;
  readonly bodyFile?: string;
  readonly timeout: number;
  readonly requestId?: string;
}

export function askCommand(): Command {
  return callCommand("ask")
    .description(
      "Send a question, wait for its answer, print it and mark it as read. Other mail stays as it is. " +
        "A bounce, printed as well, ends it with 1; no answer in time with 3: it still comes to your inbox then.",
    )
    .argument("<TO>", "Name of an agent; ALL takes the first answer.")
    .argument("[BODY]", 'The question; - reads it from standard input, "" sends none.')
    .option("-s, --subject <SUBJECT>", "What it is about, in one line.", "Question")
    .option("--body-file <FILE>", "Read the question from this file.")
    .addOption(
      durationOption(
        "--timeout <DURATION>",
        "Wait this long, 1s-7d, over restarts of the bus too.",
        ["1s", "7d"],
        DEFAULT_TIMEOUT,
      ),
    )
    .option(
      "--request-id <ID>",
      "Names this question: repeated with the same one it is stored once, and waits on. (default: a new one)",
    )
    .addHelpText(
      "after",
      `
Examples:
  agentbus ask jack "Which port does the API use?" --as joe
  agentbus ask jack - --timeout 2h --json --as joe < question.md | jq -r .message.body`,
    )
    .action(ask);
}

async function ask(to: string, argument: string | undefined, options: AskOptions, command: Command): Promise<void> {
  const settings = settle(command, callSettings);
  const agent = agentOf(settings);
  const body = await readBody(argument, options.bodyFile);
  const end = performance.now() + options.timeout;
  const requestId = options.requestId ?? uuidv7();
  const content = { sender: agent, recipient: to, subject: options.subject, body, requestId };
  const again = `to go on waiting, repeat it with --request-id ${requestId}`;

  const retryForMs = Math.min(SEND_MS, options.timeout);
  const client = usable(() => new BusClient({ urls: settings.url, token: settings.token, retryForMs }));
  const bus = client.rpc;
  const interrupted = untilSignal();
  let messageId: string | undefined;
  try {
    await sendKept(settings, agent);
    const sent = await answerOf(bus.send(content, { signal: interrupted.signal }), adviseUnsent(requestId));
    messageId = sent.id;
    sayRemarks(sent);
    const question = { agent, messageId };
    const answer = await answerOf(
      awaitAnswer(bus, question, end - performance.now(), interrupted.signal),
      () => `The question ${messageId} was sent, and its answer will come to your inbox; ${again}.`,
    );
    if (answer === undefined)
      throw noAnswer(to, options.timeout, messageId, await stateOfQuestion(bus, messageId), again);
    await printAnswer(bus, agent, answer, options.json);
  } catch (error) {
    if (interrupted.signal.aborted) {
      say(
        messageId === undefined
          ? `stopped; the question may have been sent: ${again}`
          : `stopped waiting; the answer to ${messageId} will come to your inbox; ${again}`,
      );
      interrupted.obey();
    }
    throw error;
  } finally {
    interrupted.forget();
    await client.close();
  }
}

function adviseUnsent(requestId: string): (failure: Failure) => string | undefined {
  return (failure) => {
    if (failure.exitCode !== EXIT.unreachable || failure.outcomeUnknown) return repeatSafely(requestId)(failure);
    return "A question is not kept in the outbox: ask again when the bus is back, or leave it with agentbus send.";
  };
}

function noAnswer(to: string, timeoutMs: number, messageId: string, state: string, again: string): Failure {
  const message = `NO_ANSWER: ${to} did not answer within ${durationText(timeoutMs)}. The question ${messageId} ${state}. An answer will come to your inbox; ${again}.`;
  return new Failure(EXIT.nothing, { code: "deadline_exceeded", reason: "NO_ANSWER", message, field: "", messageId });
}

async function printAnswer(bus: MessageBusClient, agent: string, message: Message, json?: boolean): Promise<void> {
  const document = create(GetMessageResponseSchema, { message });
  // Its state is about to change.
  const { state: _, ...printed } = message;
  await writeAnswer(json, GetMessageResponseSchema, document, () => messageText(printed, process.stdout.isTTY));
  if (isBounce(message)) {
    say("the question came back: nobody will answer it");
    process.exitCode = EXIT.refused;
  }
  await answerOf(
    bus.ack({ agent, messageIds: [message.id] }),
    () => "What was printed may not be acknowledged; if so, it comes again.",
  );
}
