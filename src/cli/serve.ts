/** `agentbus serve`: runs a bus until a signal ends it. It must not know how a bus is built, nor what its doors say. */
import type { Command } from "commander";
import { mcpDoor } from "./mcp-door.ts";
import { type CommonOptions, serveSettings, settingsCommand, settle } from "./setting-options.ts";
import { writeDocument, writeOut } from "./write-output.ts";

export function serveCommand(): Command {
  return settingsCommand("serve", serveSettings, "Settings:")
    .description("Run the bus. SIGTERM or SIGINT drains it and ends it; a second one ends it at once.")
    .addHelpText(
      "after",
      `
Examples:
  agentbus serve
  AGENTBUS_TOKEN=secret agentbus serve --host 0.0.0.0 --store sqlite:/var/lib/agentbus/agentbus.db`,
    )
    .action(serve);
}

async function serve(options: CommonOptions, command: Command): Promise<void> {
  const settings = settle(command, serveSettings);
  // Listened for before the start, so that a signal that comes during it is not lost.
  const stopped = firstSignal();
  const { startServer } = await import("../server/start-server.ts");
  const { createLog } = await import("../server/log.ts");
  const log = createLog(settings.logLevel);
  const bus = await startServer(settings, log, { "/mcp": mcpDoor(log) });
  try {
    const { url } = bus;
    await (options.json ? writeDocument({ url }) : writeOut(`agentbus listens on ${url}\n`));
  } catch {
    // Whoever started it need not read its output.
  }
  await stopped;
  await bus.close();
  // By itself the process ends when nothing is left to do; what might be left must not keep it.
  setTimeout(() => process.exit(), 1000).unref();
}

function firstSignal(): Promise<void> {
  return new Promise((resolve) => {
    let signals = 0;
    const count = () => {
      signals++;
      if (signals === 1) resolve();
      else process.exit(1);
    };
    process.on("SIGTERM", count);
    process.on("SIGINT", count);
  });
}
