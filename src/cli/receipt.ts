/** `agentbus receipt`: what became of a message, inbox by inbox. It must not know who may ask. */
import type { Command } from "commander";
import { type GetReceiptResponse, GetReceiptResponseSchema } from "#gen/agentbus/v1/message_bus_pb.js";
import { DeliveryState } from "#gen/agentbus/v1/message_pb.js";
import { MAX_PAGE_SIZE } from "../message.ts";
import { alignColumns } from "./align-columns.ts";
import { answerOf, busOf } from "./call-bus.ts";
import { callCommand } from "./call-command.ts";
import { timeText } from "./message-text.ts";
import { type CommonOptions, callSettings, settle } from "./setting-options.ts";
import { writeAnswer } from "./write-output.ts";

export function receiptCommand(): Command {
  return callCommand("receipt")
    .description("Say what became of a message: in whose inbox it lies, who read it and who answered.")
    .argument("<ID>", "Id of the message.")
    .addHelpText(
      "after",
      `
Example:
  agentbus receipt 0198c0de-7a31-7c52-9d0e-3f1f4a1b2c3d --as joe`,
    )
    .action(receipt);
}

async function receipt(messageId: string, options: CommonOptions, command: Command): Promise<void> {
  const bus = busOf(settle(command, callSettings));
  const page = (pageToken: string) => answerOf(bus.getReceipt({ messageId, pageSize: MAX_PAGE_SIZE, pageToken }));
  const whole = await page("");
  while (whole.nextPageToken !== "") {
    const next = await page(whole.nextPageToken);
    whole.receipts.push(...next.receipts);
    whole.nextPageToken = next.nextPageToken;
  }
  await writeAnswer(options.json, GetReceiptResponseSchema, whole, () => receiptText(whole));
}

function receiptText({ recipientCount, readCount, deadCount, receipts }: GetReceiptResponse): string {
  const rows = receipts.map((one) => [
    one.recipient,
    DeliveryState[one.state],
    one.deadReason ?? "",
    timeText(one.readTime ?? one.deadTime ?? one.firstPulledTime),
    String(one.deliveryAttempt),
    timeText(one.lastSeenTime),
    one.replyMessageIds.join(","),
  ]);
  const summary = `recipients: ${recipientCount}, read: ${readCount}, dead: ${deadCount}\n`;
  return summary + alignColumns([["TO", "STATE", "BECAUSE", "SINCE", "LEASES", "LAST SEEN", "REPLIES"], ...rows]);
}
