/**
 * `agentbus watch`: shows agents and mail as they change, to a person or line by line to a program. It must not change
 * anything, nor end because the bus does.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { BusClient } from "../client/bus-client.ts";
import { usable } from "./call-bus.ts";
import { callCommand } from "./call-command.ts";
import { durationOption } from "./duration.ts";
import { type CommonOptions, callSettings, settle } from "./setting-options.ts";
import { untilSignal } from "./until-signal.ts";
import { tellChanges } from "./watch-changes.ts";
import { lookAtFleet } from "./watch-fleet.ts";
import { openScreen } from "./watch-screen.ts";
import { isReaderGone } from "./write-output.ts";

const DEFAULT_INTERVAL = "2s";

interface WatchOptions extends CommonOptions {
  readonly interval: number;
}

export function watchCommand(): Command {
  return callCommand("watch")
    .description(
      "Show all agents with what waits for them, and with --as NAME what that agent receives, as it changes. Marks " +
        "nothing as read. On a terminal q or Ctrl-C leaves; elsewhere each change is a line, with --json a document.",
    )
    .addOption(durationOption("--interval <DURATION>", "How often it looks, 1s-1h.", ["1s", "1h"], DEFAULT_INTERVAL))
    .addHelpText(
      "after",
      `
Examples:
  agentbus watch
  agentbus watch --as jack --interval 10s
  agentbus watch --json >> changes.jsonl`,
    )
    .action(watch);
}

async function watch(options: WatchOptions, command: Command): Promise<void> {
  const settings = settle(command, callSettings);
  const client = usable(() => new BusClient({ urls: settings.url, token: settings.token, retryForMs: 0 }));
  const interrupted = untilSignal();
  const leave = new AbortController();
  const signal = AbortSignal.any([interrupted.signal, leave.signal]);
  const onScreen = process.stdout.isTTY && !options.json;
  const view = onScreen ? openScreen(settings.url, () => leave.abort()) : tellChanges(options.json ?? false);
  try {
    for (;;) {
      await view.show(await lookAtFleet(client.rpc, settings.agent, signal));
      await delay(options.interval, undefined, { signal });
    }
  } catch (error) {
    // To be told to stop is how a watch ends well, and so is a reader such as head that has seen enough.
    if (!signal.aborted && !isReaderGone()) throw error;
  } finally {
    view.close();
    interrupted.forget();
    await client.close();
  }
}
