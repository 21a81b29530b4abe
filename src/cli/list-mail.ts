/** What `history` and `search` have in common: one side of an agent's mail, newest first. It must not change any of it. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Command, Option } from "commander";
import {
  Box,
  type ListMessagesRequestSchema,
  type ListMessagesResponse,
  ListMessagesResponseSchema,
} from "#gen/agentbus/v1/message_bus_pb.js";
import { DeliveryState, type Message } from "#gen/agentbus/v1/message_pb.js";
import type { MessageBusClient } from "../client/connect-bus.ts";
import { MAX_PAGE_SIZE } from "../message.ts";
import { alignColumns } from "./align-columns.ts";
import { answerOf, busOf } from "./call-bus.ts";
import { pointInTime } from "./duration.ts";
import { EXIT } from "./exit-codes.ts";
import { timeText } from "./message-text.ts";
import { agentOf, type CommonOptions, callSettings, settle, wholeNumber } from "./setting-options.ts";
import { cutText, oneLine } from "./visible-text.ts";
import { say, writeAnswer } from "./write-output.ts";

const DEFAULT_ROWS = 20;
const MAX_ROWS = 1_000_000;
/** Characters of a cell; `show` prints the whole message. */
const MAX_SUBJECT = 40;
const MAX_BODY = 60;

export interface ListOptions extends CommonOptions {
  readonly sent?: boolean;
  readonly dead?: boolean;
  readonly peer?: string;
  readonly since?: Date;
  readonly until?: Date;
  readonly max?: number;
  readonly all?: boolean;
}

export function withListOptions(command: Command): Command {
  return command
    .addOption(new Option("--sent", "What you sent, instead of what you received.").conflicts("dead"))
    .option("--dead", "Only dead letters of your inbox; see agentbus redrive.")
    .option("--peer <NAME>", "Only mail exchanged with this agent.")
    .option("--since <TIME>", "Not older: 90s, 10m, 2h or 3d ago, a day, or RFC 3339.", pointInTime)
    .option("--until <TIME>", "Older than this.", pointInTime)
    .addOption(
      new Option("-n, --max <N>", `At most so many messages, 1-${MAX_ROWS}. (default: ${DEFAULT_ROWS})`)
        .argParser(wholeNumber(1, MAX_ROWS))
        .conflicts("all"),
    )
    .option("--all", "As many as there are.");
}

/** Prints the mail that has these options, and this text. */
export async function listMail(options: ListOptions, command: Command, text?: string): Promise<void> {
  const settings = settle(command, callSettings);
  const agent = agentOf(settings);
  const { peer, since, until } = options;
  const box = options.sent ? Box.SENT : options.dead ? Box.DEAD : Box.INBOX;
  const request = {
    agent,
    box,
    ...(peer !== undefined && { peer }),
    ...(text !== undefined && { text }),
    ...(since && { sinceTime: timestampFromDate(since) }),
    ...(until && { untilTime: timestampFromDate(until) }),
  };
  const most = options.all ? Number.POSITIVE_INFINITY : (options.max ?? DEFAULT_ROWS);
  const list = await gather(busOf(settings), request, most);
  const empty = list.messages.length === 0;
  if (!empty || options.json)
    await writeAnswer(options.json, ListMessagesResponseSchema, list, () => tableOf(list.messages));
  if (empty) {
    say(`nothing found in ${nameOf(box)} of ${agent}`);
    process.exitCode = EXIT.nothing;
  } else if (list.nextPageToken !== "") {
    say("older mail is there: raise -n, or give --all");
  }
}

/** A page may be short without being the last one. */
async function gather(
  bus: MessageBusClient,
  request: MessageInitShape<typeof ListMessagesRequestSchema>,
  most: number,
): Promise<ListMessagesResponse> {
  const page = (have: number, pageToken: string) =>
    answerOf(bus.listMessages({ ...request, pageSize: Math.min(most - have, MAX_PAGE_SIZE), pageToken }));
  const whole = await page(0, "");
  while (whole.nextPageToken !== "" && whole.messages.length < most) {
    const next = await page(whole.messages.length, whole.nextPageToken);
    whole.messages.push(...next.messages);
    whole.nextPageToken = next.nextPageToken;
  }
  return whole;
}

function nameOf(box: Box): string {
  if (box === Box.SENT) return "the sent mail";
  return box === Box.DEAD ? "the dead letters" : "the received mail";
}

function tableOf(messages: readonly Message[]): string {
  const rows = messages.map(({ timestamp, sender, recipient, state, id, subject, body, bodySize }) => [
    timeText(timestamp),
    sender,
    recipient,
    state === undefined ? "" : DeliveryState[state],
    id,
    cutText(oneLine(subject), MAX_SUBJECT),
    cutText(oneLine(body), MAX_BODY, bodySize !== undefined),
  ]);
  return alignColumns([["TIME", "FROM", "TO", "STATE", "ID", "SUBJECT", "BODY"], ...rows]);
}
