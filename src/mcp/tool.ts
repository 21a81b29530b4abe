/**
 * What a tool is and what it answers. It must not know any tool, nor how a host is spoken to.
 */
import type { CallToolResult, ToolAnnotations } from "@modelcontextprotocol/server";
import type { z } from "zod";
import type { BusClient } from "../client/bus-client.ts";
import { foldName } from "../message.ts";

/** On whose behalf, and with which bus, tools are called. */
export interface Desk {
  readonly agent: string;
  readonly bus: BusClient;
  /** Whom to answer, of the mail that was shown: a reply needs no bus to find out. */
  readonly shown: ShownMail;
}

export function openDesk(agent: string, bus: BusClient): Desk {
  // As the bus writes names: what it says of senders is compared with this one.
  return { agent: foldName(agent), bus, shown: new ShownMail() };
}

/** One call of a tool, apart from its input. */
export interface Call {
  /** Aborts when the host does not want the answer any more. */
  readonly gone: AbortSignal;
  /** The trace that the call belongs to (W3C Trace Context); a message that it sends carries it on. */
  readonly traceparent: string | undefined;
}

/** What a reply must know of the message that it answers. */
export interface Answerable {
  readonly id: string;
  readonly sender: string;
  readonly subject: string;
}

/** Enough for the mail that a model still remembers. */
const MAX_SHOWN = 1000;

/** The last messages that this host was shown. */
export class ShownMail {
  readonly #byId = new Map<string, Answerable>();

  add({ id, sender, subject }: Answerable): void {
    this.#byId.delete(id);
    this.#byId.set(id, { id, sender, subject });
    const [oldest] = this.#byId.keys();
    if (this.#byId.size > MAX_SHOWN && oldest !== undefined) this.#byId.delete(oldest);
  }

  find(id: string): Answerable | undefined {
    return this.#byId.get(id);
  }
}

/**
 * The same twice: most hosts show a model either the text or the data (Claude Code and Codex the data where there is
 * some, but of an error the text; others always the text). So each must be whole by itself.
 */
export interface Answer {
  readonly text: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Tool<Input extends z.ZodObject = z.ZodObject> {
  readonly name: string;
  /** For a model: when to call it and what it changes. Costs every host its tokens in every session. */
  readonly description: string;
  readonly input: Input;
  readonly hints: ToolAnnotations;
  /** Throws what the bus or the client threw. */
  readonly run: (desk: Desk, input: z.output<Input>, call: Call) => Promise<Answer>;
}

/** Keeps the type of the input between its schema and `run`. */
export function tool<Input extends z.ZodObject>(spec: Tool<Input>): Tool {
  return spec as unknown as Tool;
}

export function resultOf({ text, data }: Answer): CallToolResult {
  return { content: [{ type: "text", text }], structuredContent: present(data) };
}

/** Without what is undefined. */
export function present<T extends object>(fields: T): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
