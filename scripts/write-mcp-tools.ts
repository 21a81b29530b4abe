/** Writes the table of MCP tools into docs/mcp.md, from the built tools themselves. `--check` only says whether it is current. */
import { readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { tools } from "#dist/mcp/bus-server.js";

const PAGE = new URL("../docs/mcp.md", import.meta.url);

interface Argument {
  readonly type: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
}

const rows = tools.map(({ name, description, input, hints }) => {
  const { properties = {}, required = [] } = z.toJSONSchema(input, { io: "input" });
  const given = Object.entries(properties).map(([argument, schema]) =>
    argumentText(argument, schema as Argument, required.includes(argument)),
  );
  return `| \`${name}\` | ${description} | ${given.join("<br>")} | ${hints.readOnlyHint ? "yes" : "no"} |`;
});
const table = ["| tool | what it tells a model | arguments | only reads |", "|---|---|---|---|", ...rows].join("\n");

const before = readFileSync(PAGE, "utf8");
const after = before.replace(
  /<!-- tools -->[\s\S]*<!-- \/tools -->/,
  () => `<!-- tools -->\n${table}\n<!-- /tools -->`,
);
if (after === before) process.exit(0);
if (process.argv.includes("--check")) {
  process.stderr.write("docs/mcp.md: the table of tools is stale; run: npm run docs\n");
  process.exit(1);
}
writeFileSync(PAGE, after);

function argumentText(name: string, argument: Argument, required: boolean): string {
  const { type, description, default: value, minimum, maximum } = argument;
  const range = maximum === undefined ? "" : `, ${minimum ?? 0}-${maximum}`;
  const fallback = value === undefined ? "" : `, default ${String(value)}`;
  return `\`${name}\` (${type}${required ? ", required" : ""}${range}${fallback})${description ? ` ${description}` : ""}`;
}
