/** `agentbus backup`: copies the store while the bus runs. It must not know what a store is made of. */
import type { Command } from "commander";
import { type CommonOptions, settingsCommand, settle } from "./setting-options.ts";
import { writeDocument, writeOut } from "./write-output.ts";

export function backupCommand(): Command {
  return settingsCommand("backup", ["store"], "Settings:")
    .description("Copy the store into a file, on the bus's own host; the bus may go on serving.")
    .argument("<FILE>", "Where the copy goes.")
    .addHelpText(
      "after",
      `
Example:
  agentbus backup /backup/agentbus-$(date +%F).db --store sqlite:/var/lib/agentbus/agentbus.db`,
    )
    .action(backup);
}

async function backup(file: string, options: CommonOptions, command: Command): Promise<void> {
  const { store } = settle(command, ["store"]);
  const { backupStore } = await import("../store/backup-store.ts");
  const { bytes, milliseconds } = await backupStore(store, file);
  if (options.json) await writeDocument({ file, bytes, milliseconds });
  else await writeOut(`${file}: ${bytes} bytes in ${Math.round(milliseconds)} ms\n`);
}
