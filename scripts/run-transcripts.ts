/**
 * Runs the ```console blocks of README.md against a fresh bus and writes what they really print; `--check` only compares.
 * Ids and times differ each time: they are compared as such, and an id in a later command follows the one it came from.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = new URL("..", import.meta.url).pathname;
const MAIN = join(ROOT, "dist/cli/main.js");
const PAGE = join(ROOT, "README.md");
const SHOWN = "127.0.0.1:8091";
const ID = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g;

const folder = mkdtempSync(join(tmpdir(), "agentbus-transcripts-"));
const bus = spawn(process.execPath, [MAIN, "serve", "--port", "0", "--store", `sqlite:${folder}/bus.db`], {
  stdio: ["ignore", "ignore", "pipe"],
});
try {
  const address = await new Promise<string>((resolve, reject) => {
    let log = "";
    bus.stderr.on("data", (chunk: Buffer) => {
      log += chunk.toString();
      const url = /"url":"http:\/\/([^"]+)"/.exec(log)?.[1];
      if (url !== undefined) resolve(url);
    });
    bus.once("exit", () => reject(new Error(`the bus did not start: ${log}`)));
  });
  const before = readFileSync(PAGE, "utf8");
  const followed = new Map<string, string>();
  const after = before.replace(/(?<=```console\n)[\s\S]*?(?=```)/g, (block) => runBlock(block, address, followed));
  const same = comparable(before) === comparable(after);
  if (process.argv.includes("--check")) {
    if (!same)
      process.stderr.write(`README.md shows what is not so; run: npm run docs\n${firstDifference(before, after)}\n`);
    process.exitCode = same ? 0 : 1;
  } else if (!same) writeFileSync(PAGE, after);
} finally {
  bus.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}

/** Each "$ command" of a block with what it prints now. */
function runBlock(block: string, address: string, followed: Map<string, string>): string {
  const steps = block.split(/^\$ /m).slice(1);
  return steps
    .map((step) => {
      const [command = "", ...shown] = step.split("\n");
      const real = command.replace(ID, (id) => followed.get(id) ?? id);
      const printed = run(real, address);
      const ids = printed.match(ID) ?? [];
      for (const [i, id] of (shown.join("\n").match(ID) ?? []).entries()) followed.set(id, ids[i] ?? id);
      return `$ ${real}\n${printed}`;
    })
    .join("");
}

function run(command: string, address: string): string {
  const script = command.replaceAll(SHOWN, address).replaceAll("npx agentbus", `'${process.execPath}' '${MAIN}'`);
  const { stdout } = spawnSync("bash", ["-c", `exec 2>&1; ${script}`], {
    env: {
      ...process.env,
      AGENTBUS_URL: `http://${address}`,
      AGENTBUS_TOKEN: "",
      AGENTBUS_AGENT: "",
      AGENTBUS_OUTBOX: `${folder}/outbox.db`,
    },
    encoding: "utf8",
  });
  const shown = stdout.replaceAll(address, SHOWN).replace(/"details":\[.*\]/g, '"details":[…]');
  return shown.endsWith("\n") ? shown : `${shown}\n`;
}

function comparable(text: string): string {
  return text.replace(ID, "ID").replace(TIME, "TIME");
}

function firstDifference(shown: string, real: string): string {
  const [a, b] = [comparable(shown).split("\n"), comparable(real).split("\n")];
  const line = a.findIndex((text, i) => text !== b[i]);
  return `shown: ${a[line]}\nreal:  ${b[line]}`;
}
