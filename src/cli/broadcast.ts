/** `agentbus broadcast`: one message to every registered agent. It must not know how mail is stored or read. */
import { create } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { BroadcastResponseSchema } from "#gen/agentbus/v1/message_bus_pb.js";
import { ALL } from "../message.ts";
import { callCommand } from "./call-command.ts";
import { readBody } from "./read-body.ts";
import { type SendOptions, sayRemarks, sendFields, withSendOptions } from "./send.ts";
import { sendThroughOutbox } from "./send-through-outbox.ts";
import { agentOf, callSettings, settle } from "./setting-options.ts";
import { writeAnswer } from "./write-output.ts";

interface BroadcastOptions extends SendOptions {
  readonly includeSender?: boolean;
}

export function broadcastCommand(): Command {
  return withSendOptions(callCommand("broadcast", { flushFirst: false }))
    .description(
      "Send a message to every agent that is registered when the bus takes it. Its id is printed once the bus has it on disk; while the bus is away it is kept in the outbox (4).",
    )
    .argument("[BODY]", 'The text; - reads it from standard input, "" sends none.')
    .option("--include-sender", "Also into your own inbox.")
    .addHelpText(
      "after",
      `
Example:
  agentbus broadcast -s "Freeze" "No merges until 15:00 UTC." --as joe`,
    )
    .action(broadcast);
}

async function broadcast(argument: string | undefined, options: BroadcastOptions, command: Command): Promise<void> {
  const settings = settle(command, callSettings);
  const sender = agentOf(settings);
  const body = await readBody(argument, options.bodyFile);
  const includeSender = options.includeSender ?? false;
  const content = { sender, recipient: ALL, subject: options.subject, body, includeSender, ...sendFields(options) };
  const sent = await sendThroughOutbox(settings, content, options.json);
  if (sent === undefined) return;
  const { id, timestamp, deduplicated, recipientCount, notice } = sent;
  const fields = { id, deduplicated, recipientCount, notice, ...(timestamp && { timestamp }) };
  const answer = create(BroadcastResponseSchema, fields);
  await writeAnswer(options.json, BroadcastResponseSchema, answer, () => `${answer.id}\n`);
  sayRemarks(answer);
}
