/**
 * `agentbus inbox --hook`: tells a host of agents what is new, in the form that its hooks take. A look only. It must never
 * hold up or break the turn of the host that calls it, whatever is wrong here.
 */
import { addAbortSignal } from "node:stream";
import type { Command } from "commander";
import type { Message } from "#gen/agentbus/v1/message_pb.js";
import { MAX_PULL_MESSAGES } from "../message.ts";
import { answerOf, busOf } from "./call-bus.ts";
import { mailSummary, SUMMARY_BODY_BYTES, SUMMARY_MESSAGES } from "./mail-summary.ts";
import { agentOf, callSettings, settle } from "./setting-options.ts";
import { isThrownAway, say, writeDocument, writeOut } from "./write-output.ts";

/** The hosts whose form is known; "text" is for any other that takes what a command prints. */
export const HOOK_HOSTS = ["claude-code", "text"] as const;

/** For all that waits: the event, the bus. Who types a prompt feels more. */
const DEADLINE_MS = 2000;
/** An event holds the whole prompt. */
const MAX_EVENT_BYTES = 16 * 1024 * 1024;
/** Events at which Claude Code adds what a hook says to the model's context. */
const CONTEXT_EVENTS: readonly unknown[] = ["SessionStart", "UserPromptSubmit", "PostToolUse"];

/** How one call of the hook is answered; undefined: it is no time to tell anything. */
type Tell = ((summary: string) => Promise<void>) | undefined;

export async function inboxHook(host: (typeof HOOK_HOSTS)[number], command: Command): Promise<void> {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  try {
    const tell = host === "text" ? tellText : claudeCodeTell(await readEvent(deadline));
    const summary = tell && (await news(command, deadline));
    if (summary !== undefined) await tell?.(summary);
  } catch (error) {
    say(`agentbus hook: ${error instanceof Error ? error.message : String(error)}`);
  }
  // A name that is still being looked up, or a stdin that stays open, would hold the process and so the host.
  process.exit(0);
}

async function news(command: Command, deadline: AbortSignal): Promise<string | undefined> {
  const settings = settle(command, callSettings);
  const agent = agentOf(settings).toLowerCase();
  // What is told to nobody must not count as told.
  if (isThrownAway()) throw new Error("standard output is closed or /dev/null: nobody would be told");
  const unread = await look(agent, busOf(settings), deadline);
  const inbox = { bus: settings.url.join(","), agent };
  // Only here, so that no other inbox loads a database.
  const { claimUntold } = await import("./told-mail.ts");
  const { claimed, left } = claimUntold(
    inbox,
    unread.map(({ id }) => id),
    SUMMARY_MESSAGES,
  );
  if (claimed.length === 0) return undefined;
  return mailSummary({ agent, messages: unread.filter(({ id }) => claimed.includes(id)), left });
}

/** The oldest, as many as a look can show. */
async function look(agent: string, bus: ReturnType<typeof busOf>, signal: AbortSignal): Promise<readonly Message[]> {
  const request = { agent, maxMessages: MAX_PULL_MESSAGES, maxBodyBytes: SUMMARY_BODY_BYTES };
  return (await answerOf(bus.pullInbox(request, { signal, timeoutMs: DEADLINE_MS }))).messages;
}

const tellText = (summary: string): Promise<void> => writeOut(`${summary}\n`);

/** See https://code.claude.com/docs/en/hooks. */
function claudeCodeTell({ hook_event_name: name, stop_hook_active: again }: Record<string, unknown>): Tell {
  if (CONTEXT_EVENTS.includes(name)) {
    return (additionalContext) => writeDocument({ hookSpecificOutput: { hookEventName: name, additionalContext } });
  }
  // Once a turn at most: mail that comes while the host is kept from stopping waits for its next prompt.
  if (name === "Stop") return again === true ? undefined : (reason) => writeDocument({ decision: "block", reason });
  throw new Error(
    `mail can't be told at the hook_event_name ${JSON.stringify(name) ?? "that is missing"}; use ${CONTEXT_EVENTS.join(", ")} or Stop`,
  );
}

/** What the host says of its event, as JSON on stdin. */
async function readEvent(signal: AbortSignal): Promise<Record<string, unknown>> {
  if (process.stdin.isTTY) throw new Error("the host gives its event as JSON on standard input");
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of addAbortSignal(signal, process.stdin) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_EVENT_BYTES) throw new Error(`the event on standard input is over ${MAX_EVENT_BYTES} bytes`);
    chunks.push(chunk);
  }
  const event: unknown = JSON.parse(Buffer.concat(chunks).toString());
  if (typeof event !== "object" || event === null) throw new Error("the event on standard input is no JSON object");
  return event as Record<string, unknown>;
}
