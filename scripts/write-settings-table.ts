/** Writes the table of settings into README.md, from the one in src/config.ts. `--check` only says whether it is current. */
import { readFileSync, writeFileSync } from "node:fs";
import { environmentName, type SettingName, settings } from "../src/config.ts";

const README = new URL("../README.md", import.meta.url);
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
const table = ["| flag | environment | default | | used by |", "|---|---|---|---|---|", ...rows].join("\n");

const before = readFileSync(README, "utf8");
const after = before.replace(
  /<!-- settings -->[\s\S]*<!-- \/settings -->/,
  () => `<!-- settings -->\n${table}\n<!-- /settings -->`,
);
if (after === before) process.exit(0);
if (process.argv.includes("--check")) {
  process.stderr.write("README.md: the table of settings is stale; run: npm run docs\n");
  process.exit(1);
}
writeFileSync(README, after);
