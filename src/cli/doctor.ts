/** `agentbus doctor`: says what is wrong between here and the bus. It must not change anything, nor know how to look. */
import type { Command } from "commander";
import { callCommand } from "./call-command.ts";
import { checkAddress } from "./check-address.ts";
import { checkBus } from "./check-bus.ts";
import { checkHost } from "./check-host.ts";
import { checkOutbox } from "./check-outbox.ts";
import { type Check, fail, ok, warn } from "./doctor-check.ts";
import { EXIT } from "./exit-codes.ts";
import { type CommonOptions, callSettings, settle } from "./setting-options.ts";
import { oneLine } from "./visible-text.ts";
import { writeDocument, writeOut } from "./write-output.ts";

export function doctorCommand(): Command {
  return callCommand("doctor", { flushFirst: false })
    .description(
      "Look for what is wrong between here and the bus, and say what to do: address, TLS, store, versions, clocks, " +
        "token, name, outbox, this host. Ends with 0 if nothing fails, 5 if no bus can be reached, else 1.",
    )
    .addHelpText(
      "after",
      `
Examples:
  agentbus doctor --as jack
  agentbus doctor --url https://bus.example:8091 --json`,
    )
    .action(doctor);
}

async function doctor(options: CommonOptions, command: Command): Promise<void> {
  const settings = settle(command, callSettings);
  const addresses = await Promise.all(settings.url.map(checkAddress));
  const answering = addresses.find(({ trouble }) => trouble === undefined);
  const checks: Check[] = addresses.map(({ url, trouble, found, warning }) => {
    const name = `bus ${url}`;
    // While another node answers, one that does not is no reason to stop.
    if (trouble !== undefined) return (answering ? warn : fail)(name, trouble);
    return warning === undefined ? ok(name, found.join(", ")) : warn(name, warning);
  });
  if (answering !== undefined) checks.push(...(await checkBus(settings, answering)));
  checks.push(await checkOutbox(settings), ...checkHost());
  const failed = checks.some(({ status }) => status === "fail");
  if (failed) process.exitCode = answering === undefined ? EXIT.unreachable : EXIT.refused;
  await (options.json ? writeDocument({ ok: !failed, checks }) : writeOut(checks.map(lineOf).join("")));
}

function lineOf({ name, status, message }: Check): string {
  const sign = status === "fail" ? "FAIL" : status;
  return `${sign.padEnd(4)}  ${name}: ${oneLine(message)}\n`;
}
