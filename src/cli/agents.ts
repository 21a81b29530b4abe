/** `agentbus agents`: who there is and what waits for them. It must not know how agents are kept. */
import type { Command } from "commander";
import { type ListAgentsResponse, ListAgentsResponseSchema } from "#gen/agentbus/v1/message_bus_pb.js";
import { MAX_PAGE_SIZE } from "../message.ts";
import { alignColumns } from "./align-columns.ts";
import { answerOf, busOf } from "./call-bus.ts";
import { callCommand } from "./call-command.ts";
import { EXIT } from "./exit-codes.ts";
import { timeText } from "./message-text.ts";
import { type CommonOptions, callSettings, settle } from "./setting-options.ts";
import { say, writeAnswer } from "./write-output.ts";

interface AgentsOptions extends CommonOptions {
  readonly query?: string;
  readonly all?: boolean;
}

export function agentsCommand(): Command {
  return callCommand("agents")
    .description("List agents by name, with their unread mail and when they were last seen.")
    .option("--query <TEXT>", "Only names or descriptions with this text.")
    .option("--all", "Also names that have mail but were never registered.")
    .addHelpText(
      "after",
      `
Example:
  agentbus agents --query review`,
    )
    .action(agents);
}

async function agents(options: AgentsOptions, command: Command): Promise<void> {
  const bus = busOf(settle(command, callSettings));
  const request = { pageSize: MAX_PAGE_SIZE, query: options.query ?? "", includeUnregistered: options.all ?? false };
  const whole = await answerOf(bus.listAgents(request));
  while (whole.nextPageToken !== "") {
    const next = await answerOf(bus.listAgents({ ...request, pageToken: whole.nextPageToken }));
    whole.agents.push(...next.agents);
    whole.nextPageToken = next.nextPageToken;
  }
  const empty = whole.agents.length === 0;
  if (!empty || options.json) await writeAnswer(options.json, ListAgentsResponseSchema, whole, () => agentsText(whole));
  if (empty) {
    say("no agents");
    process.exitCode = EXIT.nothing;
  }
}

function agentsText(whole: ListAgentsResponse): string {
  const rows = whole.agents.map((agent) => [
    agent.name,
    String(agent.unreadCount),
    timeText(agent.oldestUnreadTime),
    timeText(agent.lastSeenTime),
    agent.registeredTime === undefined ? `(not registered) ${agent.description}`.trimEnd() : agent.description,
  ]);
  return alignColumns([["NAME", "UNREAD", "OLDEST UNREAD", "LAST SEEN", "DESCRIPTION"], ...rows]);
}
