/** Clients with an outbox for tests: over a real bus, over an address where nobody listens, or over failures made to order. */
import { Code, ConnectError } from "@connectrpc/connect";
import { onTestFinished } from "vitest";
import { connectBus } from "#dist/client/connect-bus.js";
import type { Draft, Letter } from "#dist/client/outbox/draft.js";
import { Drafts } from "#dist/client/outbox/drafts.js";
import { type LiveSend, liveSendOver } from "#dist/client/outbox/live-send.js";
import { OutboxSender } from "#dist/client/outbox/outbox-sender.js";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { fastFolder } from "../reliability/fast-folder.ts";
import type { TestBus } from "../start-bus.ts";

/** All drafts of a test are for this one, wherever it really is: it is only a name. */
export const URLS = ["http://bus-a:8091", "http://bus-b:8091"];
/** Nothing listens there: a port below 1024 is never given out as a free one. */
const NOWHERE = "http://127.0.0.1:1";

export const away: LiveSend = liveSendOver(connectBus({ urls: [NOWHERE] }));

export function over(bus: Pick<TestBus, "url">, token?: string): LiveSend {
  return liveSendOver(connectBus({ urls: [bus.url], token }));
}

/** What a bus would answer. */
export function failure(code: Code, reason: string): ConnectError {
  const detail = { desc: ErrorInfoSchema, value: { reason, domain: "agentbus" } };
  return new ConnectError(`${reason}: so it is`, code, undefined, [detail]);
}

export interface Outbox {
  readonly file: string;
  /** A client of its own, as another process has one. */
  sender(live: LiveSend, urls?: readonly string[]): OutboxSender;
  /** Everything in the file, oldest first. */
  list(): Draft[];
  readonly drafts: Drafts;
  /** What the clients take for the time. */
  now: number;
}

/** A file of drafts in memory, gone when the test ends. */
export function newOutbox(file = `${fastFolder()}/outbox.db`): Outbox {
  const drafts = new Drafts(file);
  onTestFinished(() => drafts.close());
  const outbox: Outbox = {
    file,
    drafts,
    now: Date.now(),
    list: () => {
      drafts.expire(outbox.now);
      return drafts.list().map(({ id }) => drafts.get(id) as Draft);
    },
    sender: (live, urls = URLS) => {
      const sender = new OutboxSender({ file, urls, live, now: () => outbox.now });
      onTestFinished(() => sender.close());
      return sender;
    },
  };
  return outbox;
}

let letters = 0;

/** From joe to jack, unless said otherwise; each with a subject of its own. */
export function letter(fields: Partial<Letter> = {}): Letter {
  letters++;
  return { sender: "joe", recipient: "jack", subject: `letter-${letters}`, body: "x", ...fields };
}

/** Keeps letters while nobody listens. */
export async function keep(outbox: Outbox, ...kept: readonly Letter[]): Promise<void> {
  const sender = outbox.sender(away);
  for (const one of kept) {
    const { status } = await sender.send(one);
    if (status !== "queued") throw new Error(`${one.subject} was ${status}`);
  }
  sender.close();
}

/** Subjects in an inbox, oldest first. */
export async function subjects(bus: TestBus, agent: string): Promise<string[]> {
  const { messages } = await bus.ok("PullInbox", { agent, maxMessages: 1000 });
  return messages.map(({ subject }: { subject: string }) => subject);
}

export const UNAVAILABLE = failure(Code.Unavailable, "DRAINING");
