/**
 * "Send it live, or keep a draft": what stands between a client and its bus. It must not know how a Send travels, nor
 * load a database before there is a draft.
 */
import { existsSync } from "node:fs";
import { v7 as uuidv7 } from "uuid";
import type { SendResponse } from "#gen/agentbus/v1/message_bus_pb.js";
import { foldName } from "../../message.ts";
import { busKey, type Draft, type Letter, type NamedLetter, type Owner } from "./draft.ts";
import type { Keeping } from "./draft-row.ts";
import type { Drafts, Kept } from "./drafts.ts";
import type { LiveSend } from "./live-send.ts";
import { NotKeptError, OutboxError, OutboxFullError } from "./outbox-errors.ts";
import { type Answered, NOTHING_WAITED, type Replayed, type ReplayLimits, replay } from "./replay.ts";
import { verdictOn } from "./verdict.ts";

/** `queued`: synced to this host's disk, and tried until it is sent, refused visibly, or EXPIRED visibly. Never "sent". */
export type SendOutcome =
  | { readonly status: "sent"; readonly response: SendResponse }
  | {
      readonly status: "queued";
      readonly requestId: string;
      /** This sender's drafts for this bus that are to be sent, with this one. */
      readonly waiting: number;
      /** Why it was not sent at once, in words. */
      readonly reason: string;
    };

/** So that no call is held up for long by what waited before it. */
export const SHORT_REPLAY: ReplayLimits = { maxDrafts: 100, maxMs: 2000 };

export interface OutboxSenderParts {
  /** As outboxFile() gives it; undefined: the outbox is off, and every Send is live. */
  readonly file: string | undefined;
  /** All nodes of the bus: a draft belongs to that list, in whatever order. */
  readonly urls: readonly string[];
  /** One Send over the wire; must fail with what MessageBusClient fails with. */
  readonly live: LiveSend;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export class OutboxSender {
  readonly #file: string | undefined;
  readonly #bus: string;
  readonly #live: LiveSend;
  readonly #now: () => number;
  #opening: Promise<Drafts> | undefined;
  /** The replay under way of each sender: calls that come meanwhile wait for the same one. */
  readonly #replays = new Map<string, Promise<Replayed>>();
  /** Drafts of Sends that are under way here, by id, and what the bus said to them. */
  readonly #own = new Map<number, Answered | undefined>();

  constructor({ file, urls, live, now = Date.now }: OutboxSenderParts) {
    this.#file = file;
    this.#bus = busKey(urls);
    this.#live = live;
    this.#now = now;
  }

  /**
   * Live, unless drafts of the same sender wait: then behind them, and they are tried. Kept when the bus is away or did
   * not answer. Fails with the bus's own refusal, or with a NotKeptError if it could neither be sent nor kept. Aborting
   * the signal ends a live Send; what is kept stays.
   */
  async send(letter: Letter, signal?: AbortSignal): Promise<SendOutcome> {
    const named = { ...letter, requestId: letter.requestId ?? uuidv7() };
    if (this.#file === undefined) return { status: "sent", response: await this.#live(named, signal) };
    const owner = this.#ownerOf(letter.sender);
    const drafts = await neitherSentNorKept(UNSEEN, () => this.#withDraftsBefore(owner, letter.recipient));
    if (drafts !== undefined) return this.#sendBehind(drafts, owner, named);
    try {
      return { status: "sent", response: await this.#live(named, signal) };
    } catch (error) {
      const verdict = verdictOn(error);
      if (verdict.kind !== "wait" || !verdict.isAway) throw error;
      const { reason, mayHaveArrived } = verdict;
      return this.#keep(owner, named, error as Error, { reason, mayHaveArrived });
    }
  }

  /**
   * Tries the drafts of this sender; `stopped` tells what a bus that takes none says. Fails with an OutboxError if the file
   * can't be used.
   */
  async replay(sender: string, limits: ReplayLimits = SHORT_REPLAY): Promise<Replayed> {
    const owner = this.#ownerOf(sender);
    const drafts = await this.#existing();
    return drafts && drafts.waiting(owner) > 0 ? this.#replay(drafts, owner, limits) : NOTHING_WAITED;
  }

  /** Of what is under way here, nothing is lost: it opens the file again. */
  close(): void {
    this.#opening?.then((drafts) => drafts.close()).catch(() => {});
    this.#opening = undefined;
  }

  /** undefined: a Send to this recipient overtakes nothing. */
  async #withDraftsBefore(owner: Owner, recipient: string): Promise<Drafts | undefined> {
    const drafts = await this.#existing();
    return drafts?.anyBefore(owner, recipient, this.#now()) ? drafts : undefined;
  }

  async #keep(owner: Owner, letter: NamedLetter, away: Error, why: Omit<Keeping, "now">): Promise<SendOutcome> {
    const { requestId } = letter;
    const keep = async () => (await this.#opened()).keep(owner, letter, { ...why, now: this.#now() });
    const { waiting } = await neitherSentNorKept(away, keep);
    return { status: "queued", requestId, waiting, reason: why.reason };
  }

  async #sendBehind(drafts: Drafts, owner: Owner, letter: NamedLetter): Promise<SendOutcome> {
    const { id, isNew, waiting } = await this.#keepBehind(drafts, owner, letter);
    const queued = { status: "queued", requestId: letter.requestId, waiting } as const;
    this.#own.set(id, undefined);
    try {
      const replayed = await this.#replay(drafts, owner, SHORT_REPLAY);
      const answered = this.#own.get(id);
      if (answered === undefined) {
        const draft = drafts.get(id);
        // Another process was faster; the bus says again what it said to that one.
        if (draft === undefined) return this.send(letter);
        const reason = draft.state === "waiting" ? (replayed.stopped?.reason ?? BEHIND.message) : draft.reason;
        return { ...queued, waiting: replayed.waiting, reason };
      }
      if (!("failure" in answered)) return { status: "sent", response: answered };
      // Whoever sends is told now; who was told `queued` before looks for it in the outbox.
      if (isNew) drafts.drop(id);
      throw answered.failure;
    } catch (error) {
      if (!(error instanceof OutboxError)) throw error;
      return { ...queued, reason: error.message };
    } finally {
      this.#own.delete(id);
    }
  }

  async #keepBehind(drafts: Drafts, owner: Owner, letter: NamedLetter): Promise<Kept> {
    const why = { reason: BEHIND.message, mayHaveArrived: false };
    const keep = () => drafts.keep(owner, letter, { ...why, now: this.#now() });
    try {
      return keep();
    } catch (error) {
      // A replay may make room; what stops it stops the second try as well, which tells it.
      if (error instanceof OutboxFullError) await this.#replay(drafts, owner, SHORT_REPLAY).catch(() => {});
      else if (error instanceof OutboxError) throw new NotKeptError(BEHIND, error);
      else throw error;
    }
    return neitherSentNorKept(BEHIND, keep);
  }

  #replay(drafts: Drafts, owner: Owner, limits: ReplayLimits): Promise<Replayed> {
    const running = this.#replays.get(owner.sender);
    if (running !== undefined) return running;
    const answered = (draft: Draft, answer: Answered) => {
      if (this.#own.has(draft.id)) this.#own.set(draft.id, answer);
    };
    const replaying = replay(drafts, owner, this.#live, { now: this.#now, limits, answered }).finally(() =>
      this.#replays.delete(owner.sender),
    );
    this.#replays.set(owner.sender, replaying);
    return replaying;
  }

  #ownerOf(sender: string): Owner {
    return { bus: this.#bus, sender: foldName(sender) };
  }

  /** undefined: off, or there is no file yet, and so nothing in it. */
  async #existing(): Promise<Drafts | undefined> {
    const isThere = this.#opening !== undefined || (this.#file !== undefined && existsSync(this.#file));
    return isThere ? this.#opened() : undefined;
  }

  /** One promise for all: what was refused first is kept first, and who sends meanwhile looks only then. */
  #opened(): Promise<Drafts> {
    this.#opening ??= openDrafts(this.#file as string);
    return this.#opening;
  }
}

/** Only here, so that nobody loads a database who has no drafts. */
async function openDrafts(file: string): Promise<Drafts> {
  try {
    const { Drafts } = await import("./drafts.ts");
    return new Drafts(file);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new OutboxError(`the outbox's database driver can't be loaded: ${why}`, { cause });
  }
}

const UNSEEN = new Error("nothing was sent, because earlier drafts may wait in the outbox");
const BEHIND = new Error("earlier drafts of the same sender wait for the bus");

/** What a failure of the outbox is to a Send that can't go live. */
async function neitherSentNorKept<T>(away: Error, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof OutboxError ? new NotKeptError(away, error) : error;
  }
}
