/**
 * `agentbus mcp`: the bus as tools for an MCP host, on standard input and output. It must not know the tools, and writes
 * nothing else to stdout.
 */
import type { Command } from "commander";
import { packageVersion } from "../server/package-version.ts";
import { usable } from "./call-bus.ts";
import { callCommand } from "./call-command.ts";
import { agentOf, type CommonOptions, callSettings, settle } from "./setting-options.ts";
import { say } from "./write-output.ts";

export function mcpCommand(): Command {
  return callCommand("mcp")
    .description(
      "Serve the bus as tools to an MCP host on standard input and output, in the name of one agent, until the host closes them. A host that speaks HTTP needs no command: the bus itself serves the same tools at /mcp.",
    )
    .addHelpText(
      "after",
      `
Examples:
  claude mcp add agentbus -- agentbus mcp --as jack
  claude mcp add --transport http agentbus http://127.0.0.1:8091/mcp --header "X-Bus-Agent: jack"

docs/mcp.md has the tools, and the set-up of further hosts.`,
    )
    .action(mcp);
}

async function mcp(_: CommonOptions, command: Command): Promise<void> {
  const settings = settle(command, callSettings);
  const agent = agentOf(settings);
  const { BusClient } = await import("../client/bus-client.ts");
  const { openDesk } = await import("../mcp/tool.ts");
  const { serveOnStdio } = await import("../mcp/stdio.ts");
  const { url: urls, token, outbox } = settings;
  const bus = usable(() => new BusClient({ urls, token, agent, outbox }));
  await serveOnStdio({ desk: openDesk(agent, bus), version: packageVersion(), report });
  await bus.close();
}

function report(error: unknown): void {
  say(error instanceof Error ? error.message : String(error));
}
