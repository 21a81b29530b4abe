/**
 * `agentbus outbox`: what waits on this host for its bus, and what a person may do about it. It must not know how drafts
 * are kept or sent.
 */
import { existsSync } from "node:fs";
import { Command, Option } from "commander";
import { busKey, type DraftHead } from "../client/outbox/draft.ts";
import type { Drafts } from "../client/outbox/drafts.ts";
import { outboxFile } from "../client/outbox/outbox-file.ts";
import type { SettingName, Settings } from "../config.ts";
import { foldName } from "../message.ts";
import { alignColumns } from "./align-columns.ts";
import { draftDocument, draftRow, draftText, HEADINGS } from "./draft-text.ts";
import { EXIT } from "./exit-codes.ts";
import { Failure, usageFailure } from "./failure.ts";
import { flushOutbox } from "./flush-outbox.ts";
import { type CommonOptions, callSettings, settingsCommand, settle } from "./setting-options.ts";
import { say, writeDocument, writeOut } from "./write-output.ts";

const EXAMPLES = `
Examples:
  agentbus outbox
  agentbus outbox flush --as joe
  agentbus outbox show 7
  agentbus outbox drop 7`;

const SEEN: SettingName[] = ["outbox", "agent", "url"];

export function outboxCommand(): Command {
  const list = part("list", SEEN, "List drafts: what waits to be sent, and what never will be and why.").action(
    listDrafts,
  );
  const flush = part("flush", callSettings, "Send what waits for this bus, of the agent that you are; oldest first.")
    .addOption(
      new Option("--watch", "Go on until interrupted: wait as long as the bus says, and send what comes.").conflicts(
        "json",
      ),
    )
    .action(flushOutbox);
  const show = part("show", ["outbox"], "Print one draft whole.")
    .argument("<ID>", "As the list names it.")
    .action(showDraft);
  const drop = part("drop", ["outbox"], "Give drafts up: they are never sent, and gone.")
    .argument("<ID...>", "As the list names them.")
    .action(dropDrafts);
  const retry = part(
    "retry",
    ["outbox"],
    "Have drafts sent after all that were set aside or expired; a ttl that is over is left out.",
  )
    .argument("<ID...>", "As the list names them.")
    .action(retryDrafts);
  return new Command("outbox")
    .description("See and mend what is kept on this host because the bus was away.")
    .addCommand(list, { isDefault: true })
    .addCommand(flush)
    .addCommand(show)
    .addCommand(drop)
    .addCommand(retry)
    .addHelpText("after", EXAMPLES);
}

function part(name: string, settings: readonly SettingName[], description: string): Command {
  return settingsCommand(name, settings, "Who and where:").description(description).addHelpText("after", EXAMPLES);
}

/** `work` gets nothing where no draft was ever kept. */
async function withDrafts<T>(settings: Settings, work: (drafts: Drafts | undefined) => T): Promise<T> {
  const file = outboxFile(settings.outbox);
  if (file === undefined) throw usageFailure("the outbox is off: name its file with --outbox FILE or AGENTBUS_OUTBOX");
  if (!existsSync(file)) return work(undefined);
  const { Drafts } = await import("../client/outbox/drafts.ts");
  const drafts = new Drafts(file);
  try {
    return work(drafts);
  } finally {
    drafts.close();
  }
}

async function listDrafts(options: CommonOptions, command: Command): Promise<void> {
  const settings = settle(command, SEEN);
  const now = Date.now();
  const sender = settings.agent === undefined ? undefined : foldName(settings.agent);
  const list = await withDrafts(settings, (drafts) => {
    drafts?.expire(now);
    return drafts?.list(sender) ?? [];
  });
  if (options.json) await writeDocument({ drafts: list.map(draftDocument) });
  else if (list.length > 0) await writeOut(alignColumns([HEADINGS, ...list.map((draft) => draftRow(draft, now))]));
  if (list.length === 0) {
    say(`no drafts${sender === undefined ? "" : ` of ${sender}`}`);
    process.exitCode = EXIT.nothing;
  }
  sayOfOtherBuses(list, busKey(settings.url));
}

/** Nothing else would tell why a flush leaves them. */
function sayOfOtherBuses(list: readonly DraftHead[], bus: string): void {
  const others = Map.groupBy(
    list.filter((draft) => draft.bus !== bus && draft.state !== "set aside" && draft.state !== "expired"),
    (draft) => draft.bus,
  );
  for (const [other, drafts] of others) {
    say(`${drafts.map(({ id }) => id).join(" ")}: for another bus than this one; they are sent with --url ${other}`);
  }
}

async function showDraft(id: string, options: CommonOptions, command: Command): Promise<void> {
  const draft = await withDrafts(settle(command, ["outbox"]), (drafts) => {
    drafts?.expire(Date.now());
    return drafts?.get(idOf(id));
  });
  if (draft === undefined) throw noDraft(id);
  if (options.json) await writeDocument({ draft: { ...draftDocument(draft), body: draft.body } });
  else await writeOut(draftText(draft, process.stdout.isTTY));
}

async function dropDrafts(ids: string[], options: CommonOptions, command: Command): Promise<void> {
  const dropped = await withDrafts(settle(command, ["outbox"]), (drafts) =>
    idsOf(ids).filter((id) => drafts?.drop(id) ?? false),
  );
  const inWords = dropped.map((id) => `${id}: dropped\n`).join("");
  await (options.json ? writeDocument({ dropped }) : writeOut(inWords));
  tellMissing(ids, dropped);
}

async function retryDrafts(ids: string[], options: CommonOptions, command: Command): Promise<void> {
  const retried = await withDrafts(settle(command, ["outbox"]), (drafts) =>
    idsOf(ids).flatMap((id) => drafts?.retry(id, Date.now()) ?? []),
  );
  const inWords = retried.map(({ id, state }) => `${id}: ${state}\n`).join("");
  await (options.json ? writeDocument({ drafts: retried.map(draftDocument) }) : writeOut(inWords));
  for (const sender of new Set(retried.map((draft) => draft.sender))) {
    say(`sent with the next call of ${sender}, or: agentbus outbox flush --as ${sender}`);
  }
  tellMissing(
    ids,
    retried.map(({ id }) => id),
  );
}

function tellMissing(ids: readonly string[], found: readonly number[]): void {
  const missing = idsOf(ids).filter((id) => !found.includes(id));
  if (missing.length === 0) return;
  say(`${missing.join(" ")}: no such draft; agentbus outbox names them`);
  process.exitCode = EXIT.refused;
}

function idsOf(texts: readonly string[]): number[] {
  return [...new Set(texts.map(idOf))];
}

function idOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw usageFailure(`"${text}" is no id of a draft; agentbus outbox names them`);
  return Number(text);
}

function noDraft(id: string): Failure {
  const message = `there is no draft ${id}; agentbus outbox names them`;
  return new Failure(EXIT.refused, { code: "not_found", reason: "LOCAL", message, field: "" });
}
