/** Puts a generated table between its two marks in a page. `--check` only says whether it is current. */
import { readFileSync, writeFileSync } from "node:fs";

/** `page` from the repository's root; ends the process with 1 where `--check` finds it stale. */
export function writeTable(page: string, mark: string, rows: readonly string[]): void {
  const file = new URL(`../${page}`, import.meta.url);
  const before = readFileSync(file, "utf8");
  const marks = new RegExp(`<!-- ${mark} -->[\\s\\S]*<!-- /${mark} -->`);
  const after = before.replace(marks, () => [`<!-- ${mark} -->`, ...rows, `<!-- /${mark} -->`].join("\n"));
  if (after === before && marks.test(before)) return;
  if (process.argv.includes("--check")) {
    process.stderr.write(`${page}: the table of ${mark} is stale or missing; run: npm run docs\n`);
    process.exit(1);
  }
  writeFileSync(file, after);
}
