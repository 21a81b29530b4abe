/**
 * Clients of a bus that is killed under them: each repeats what was not answered, with the same request_id, and now and
 * then gives up as a client that crashed would. All they are told goes into the book.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { AckedBody, JsonAnswer, JsonCall, PulledBody, SentBody } from "../../fixtures/json-calls.ts";
import type { Chance } from "../../wire/seeded-chance.ts";
import type { Book, Letter } from "./book.ts";

/** Leased and acked; read with mark_read; looked at and acked. */
export const INBOXES = ["leased", "read", "looked-at"] as const;
const GIVE_UP = 0.1;
const RETRY_MS = 60;
/** While nobody listens: the start of the bus needs the processor more. */
const DEAD_MS = 240;
const PAUSE_MS = 25;
const LEASE_SECONDS = 2;
const MOST = 200;

export interface Party {
  readonly call: JsonCall;
  readonly book: Book;
  readonly chance: Chance;
  readonly stopped: () => boolean;
}

export async function sender({ call, book, chance, stopped }: Party, name: string): Promise<void> {
  const answered: Letter[] = [];
  for (let n = 0; !stopped(); n++) {
    const repeat = answered.length > 0 && happens(chance, 0.05);
    const letter = repeat ? chance.pick(answered) : newLetter(chance, name, n);
    book.sending(letter);
    const request = { ...letter, requestId: letter.subject };
    const answer = await untilAnswered(() => call<SentBody>("Send", request), chance, repeat ? 0 : GIVE_UP);
    if (answer === undefined) continue;
    if (answer.status !== 200) {
      book.unexpected(`${letter.subject}: Send answered ${answer.status} ${JSON.stringify(answer.body)}`);
      continue;
    }
    book.sent(letter, answer.body.id, answer.body.deduplicated);
    if (!repeat) answered.push(letter);
    await sleep(chance.integer(PAUSE_MS));
  }
}

function newLetter(chance: Chance, name: string, n: number): Letter {
  const subject = `${name}-${n}`;
  return { from: name, to: chance.pick(INBOXES), subject, body: `${subject} ${"x".repeat(chance.integer(900))}` };
}

/** Leases and acks; sometimes walks away from a lease, so that its mail comes back. */
export async function worker(party: Party, name: string): Promise<void> {
  const { book, chance } = party;
  await pullUntilStopped(party, name, { agent: "leased", leaseSeconds: LEASE_SECONDS }, async (pulled, began) => {
    const ids = idsOf(pulled);
    book.handedOut(ids, began);
    if (!happens(chance, 0.1)) await ack(party, { agent: "leased", messageIds: ids, leaseId: pulled.leaseId });
  });
}

/** Reads with mark_read: never gives up, for nobody else would be handed what it was. */
export async function reader(party: Party, name: string): Promise<void> {
  await pullUntilStopped(party, name, { agent: "read", markRead: true }, async (pulled, _, requestId) => {
    party.book.read(idsOf(pulled), requestId);
  });
}

export async function looker(party: Party, name: string): Promise<void> {
  await pullUntilStopped(party, name, { agent: "looked-at" }, async (pulled, began) => {
    const ids = idsOf(pulled);
    party.book.handedOut(ids, began);
    await ack(party, { agent: "looked-at", messageIds: ids });
  });
}

function idsOf({ messages }: PulledBody): string[] {
  return messages.map(({ id }) => id);
}

async function pullUntilStopped(
  { call, book, chance, stopped }: Party,
  name: string,
  pull: object,
  take: (pulled: PulledBody, began: number, requestId: string) => Promise<void>,
): Promise<void> {
  for (let n = 0; !stopped(); ) {
    const requestId = `${name}-${n}`; // until an answer with mail came
    const request = { ...pull, maxMessages: 1 + chance.integer(MOST), waitSeconds: chance.integer(2), requestId };
    let began = 0;
    const attempt = () => {
      began = book.now();
      return call<PulledBody>("PullInbox", request);
    };
    const answer = await untilAnswered(attempt, chance, 0);
    if (answer?.status !== 200) book.unexpected(`PullInbox answered ${JSON.stringify(answer)}`);
    else if (answer.body.messages.length > 0) {
      await take(answer.body, began, requestId);
      n++;
    } else await sleep(chance.integer(PAUSE_MS));
  }
}

async function ack(
  { call, book, chance }: Party,
  request: { agent: string; messageIds: string[]; leaseId?: string | undefined },
) {
  book.acking(request.messageIds);
  const answer = await untilAnswered(() => call<AckedBody>("Ack", request), chance, GIVE_UP);
  if (answer === undefined) return;
  if (answer.status !== 200) return book.unexpected(`Ack answered ${answer.status} ${JSON.stringify(answer.body)}`);
  book.acked(request.messageIds, answer.body.staleMessageIds, answer.body.unknownMessageIds);
}

/** undefined: given up, and whether it was done is unknown. */
async function untilAnswered<Body>(attempt: () => Promise<JsonAnswer<Body>>, chance: Chance, giveUp: number) {
  for (;;) {
    try {
      const answer = await attempt();
      if (answer.status !== 503) return answer;
      await sleep(chance.integer(RETRY_MS));
    } catch (error) {
      const refused = wasRefused(error);
      if (!refused && happens(chance, giveUp)) return undefined;
      await sleep(chance.integer(refused ? DEAD_MS : RETRY_MS));
    }
  }
}

function happens(chance: Chance, probability: number): boolean {
  return chance.next() < probability;
}

/** Nobody listened: it was not even asked. */
function wasRefused(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
}
