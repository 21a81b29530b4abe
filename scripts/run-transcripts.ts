/**
 * Runs the ```console blocks of README.md against a fresh bus and writes what they really print; `--check` only compares.
 * An id in a later command follows the one it came from.
 */
import { readFileSync } from "node:fs";
import { ID, onFreshBus, type Run, settlePage } from "./transcript-bus.ts";

const PAGE = "README.md";

const before = readFileSync(new URL(`../${PAGE}`, import.meta.url), "utf8");
const after = await onFreshBus([], async (run) => {
  const followed = new Map<string, string>();
  // Every other part is the inside of a block.
  const parts = before.split(/(?<=```console\n)([\s\S]*?)(?=```)/);
  for (let i = 1; i < parts.length; i += 2) parts[i] = await runBlock(parts[i] ?? "", run, followed);
  return parts.join("");
});
settlePage(PAGE, after);

/** Each "$ command" of a block with what it prints now. */
async function runBlock(block: string, run: Run, followed: Map<string, string>): Promise<string> {
  let all = "";
  for (const step of block.split(/^\$ /m).slice(1)) {
    const [command = "", ...shown] = step.split("\n");
    const real = command.replace(ID, (id) => followed.get(id) ?? id);
    const printed = await run(real);
    const ids = printed.match(ID) ?? [];
    for (const [i, id] of (shown.join("\n").match(ID) ?? []).entries()) followed.set(id, ids[i] ?? id);
    all += `$ ${real}\n${printed}`;
  }
  return all;
}
