/** `agentbus ack`: marks messages as read. It must not know where their ids come from. */
import type { Command } from "commander";
import { AckResponseSchema } from "#gen/agentbus/v1/message_bus_pb.js";
import { answerOf, busOf } from "./call-bus.ts";
import { callCommand } from "./call-command.ts";
import { EXIT } from "./exit-codes.ts";
import { agentOf, type CommonOptions, callSettings, settle } from "./setting-options.ts";
import { say, writeAnswer } from "./write-output.ts";

interface AckOptions extends CommonOptions {
  readonly lease?: string;
}

export function ackCommand(): Command {
  return callCommand("ack")
    .description("Mark messages of your inbox as read. A repeat does no harm.")
    .argument("<ID...>", "Ids of messages.")
    .option("--lease <LEASE_ID>", "Only what no other lease has taken over since.")
    .addHelpText(
      "after",
      `
Examples:
  agentbus ack 0198c0de-7a31-7c52-9d0e-3f1f4a1b2c3d --as jack
  agentbus ack ID ID --lease LEASE_ID --as jack`,
    )
    .action(ack);
}

async function ack(ids: string[], options: AckOptions, command: Command): Promise<void> {
  const settings = settle(command, callSettings);
  const agent = agentOf(settings);
  const lease = options.lease === undefined ? {} : { leaseId: options.lease };
  const answer = await answerOf(busOf(settings).ack({ agent, messageIds: ids, ...lease }));
  await writeAnswer(options.json, AckResponseSchema, answer, () => `${answer.ackedCount} acknowledged\n`);
  const { unknownMessageIds: unknown, staleMessageIds: stale } = answer;
  if (unknown.length > 0) say(`not in the inbox of ${agent}: ${unknown.join(" ")}`);
  if (stale.length > 0) say(`stale, because leased to another worker since, or a dead letter: ${stale.join(" ")}`);
  if (unknown.length + stale.length > 0) process.exitCode = EXIT.refused;
}
