/** Writes the table of settings into README.md, from the one in src/config.ts. `--check`: see write-table.ts. */
import { environmentName, type SettingName, settings } from "../src/config.ts";
import { writeTable } from "./write-table.ts";

const USED_BY = { serve: "serve", call: "calls", both: "serve, calls" } as const;

const rows = (Object.keys(settings) as SettingName[]).map((name) => {
  const { flag, placeholder, default: value, help, scope } = settings[name];
  const code = (text: string) => `\`${text.replaceAll("|", "\\|")}\``;
  const cells = [
    code(`--${flag} ${placeholder}`.trim()),
    code(environmentName(name)),
    value === undefined ? "none" : code(value),
    help,
    USED_BY[scope],
  ];
  return `| ${cells.join(" | ")} |`;
});
writeTable("README.md", "settings", ["| flag | environment | default | | used by |", "|---|---|---|---|---|", ...rows]);
