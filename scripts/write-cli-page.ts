/** Writes docs/cli.md: what each command says of itself and prints, from the program itself; `--check` only compares. */
import type { Command } from "commander";
import { groups } from "#dist/cli/command-table.js";
import { EXIT, exitCodeHelp } from "#dist/cli/exit-codes.js";
import { type Step, scenarios } from "./cli-scenarios.ts";
import { ID, onFreshBus, type Run, settlePage } from "./transcript-bus.ts";

const names = Object.values(groups).flatMap((entries) => Object.entries(entries));

const page = await onFreshBus(["--rate-limit", "off"], async (run) => {
  const sections: string[] = [await head(run)];
  for (const [name, { load }] of names) sections.push(await section(name, await load(), run));
  return `${sections.join("\n")}`;
});
settlePage("docs/cli.md", page);

async function head(run: Run): Promise<string> {
  const exits = Object.entries(exitCodeHelp).map(([name, help]) => `| ${EXIT[name as keyof typeof EXIT]} | ${help} |`);
  const list = names.map(([name, { summary }]) => `- [${name}](#${name}): ${summary}`);
  return `# The command line
Made by \`npm run docs\` from the program itself: every help text and everything that is shown here was printed by running it.

${list.join("\n")}

## Exit codes
| code | meaning |
|---|---|
${exits.join("\n")}

## Everywhere
${fenced("text", await run("agentbus --help"))}`;
}

async function section(name: string, command: Command, run: Run): Promise<string> {
  const parts = command
    .createHelp()
    .visibleCommands(command)
    .filter((part) => command.commands.includes(part));
  const helps = [name, ...parts.map((part) => `${name} ${part.name()}`)];
  const texts = await Promise.all(helps.map(async (words) => fenced("text", await run(`agentbus ${words} --help`))));
  const steps = scenarios[name] ?? [];
  const shown = steps.length === 0 ? "" : `\n${fenced("console", await transcript(steps, run))}`;
  return `## ${name}\n${texts.join("\n")}${shown}`;
}

async function transcript(steps: readonly Step[], run: Run): Promise<string> {
  let all = "";
  let id = "";
  for (const step of steps) {
    const { command, until } = typeof step === "string" ? { command: step, until: undefined } : step;
    const real = command.replaceAll("{id}", id);
    const printed = await run(real, until);
    id = printed.match(ID)?.at(-1) ?? id;
    all += `$ ${real}\n${printed}`;
  }
  return all;
}

function fenced(kind: string, text: string): string {
  return `\`\`\`${kind}\n${text.trimEnd()}\n\`\`\`\n`;
}
