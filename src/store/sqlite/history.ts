/**
 * The history of one agent, newest first, on any connection. A page looks at a bounded number of rows and may be short;
 * its key is the store's own sequence, so nothing is skipped or shown twice while new mail comes.
 */
import type { MessageView } from "../../message.ts";
import { searchWords } from "../../search-words.ts";
import type { HistoryQuery, Page } from "../../store.ts";
import { type StateRow, stateOf } from "./delivery-state.ts";
import { IS_DUE } from "./dying.ts";
import { cutParameter, MESSAGE_COLUMNS, messageOf } from "./inbox.ts";
import type { Database } from "./open-database.ts";
import { allOf, recipientWord, senderWord } from "./search-index.ts";

/** Rows looked at for one page: a few milliseconds. */
const MAX_SCANNED = 2000;
/** Bytes of subjects and bodies of one page. */
const MAX_PAGE_BYTES = 3 * 1024 * 1024;
const NEWEST = Number.MAX_SAFE_INTEGER;

/** What filters look at. `key` is the place in this list's order. */
interface Candidate {
  readonly key: number;
  readonly message: number;
  readonly sender: number;
  readonly recipient: number | null;
  readonly in_reply_to: string | null;
  readonly at: number;
}

type ViewRow = Parameters<typeof messageOf>[0] & StateRow & { readonly delivery: number | null };

export class HistoryReader {
  readonly #maxAttempts: number;
  readonly #inbox;
  readonly #sent;
  readonly #dead;
  readonly #found;
  readonly #view;
  readonly #agent;

  constructor(db: Database, maxAttempts: number) {
    this.#maxAttempts = maxAttempts;
    const filters = "m.seq as message, m.sender, m.recipient, m.in_reply_to, m.at";
    this.#inbox = db.prepare(`
      select d.seq as key, ${filters} from deliveries d indexed by deliveries_history
      cross join messages m on m.seq = d.message
      where d.inbox = :me and d.seq < :before order by d.seq desc limit :limit`);
    this.#sent = db.prepare(`
      select m.seq as key, ${filters} from messages m indexed by messages_sent
      where m.sender = :me and m.seq < :before order by m.seq desc limit :limit`);
    this.#dead = db.prepare(`
      select key, ${filters} from (
        select * from (select d.seq as key, d.message from deliveries d indexed by deliveries_dead
          where d.inbox = :me and d.state = 4 and d.seq < :before order by d.seq desc limit :limit)
        union all
        select * from (select d.seq as key, d.message from deliveries d indexed by deliveries_waiting
          where d.inbox = :me and d.seq < :before and ${IS_DUE} order by d.seq desc limit :limit))
      as dead cross join messages m on m.seq = dead.message order by key desc limit :limit`);
    this.#found = db.prepare(`
      select m.seq as key, ${filters} from message_words w cross join messages m on m.seq = w.rowid
      where w.message_words match :words and w.rowid < :before order by w.rowid desc limit :limit`);
    this.#view = db.prepare(`
      select d.seq as delivery, coalesce(d.attempts, 0) as attempts, coalesce(d.attempts_before, 0) as attempts_before,
        d.state, d.lease_until, d.dead_at, d.dead_reason,
        case when d.seq is null then (select max(o.expire_at) from deliveries o where o.message = m.seq)
          else d.expire_at end as expire_at, ${MESSAGE_COLUMNS}
      from messages m cross join agents s on s.id = m.sender left join agents r on r.id = m.recipient
      left join deliveries d on d.message = m.seq and d.inbox = :me
      where m.seq = :message`);
    this.#agent = db.prepare("select id from agents where name = ?").pluck();
  }

  list(query: HistoryQuery, now: number): Page<MessageView> {
    const me = this.#id(query.agent);
    const peer = query.peer === undefined ? undefined : this.#id(query.peer);
    if (me === undefined || (query.peer !== undefined && peer === undefined)) return { items: [], next: undefined };
    const candidates = this.#candidates(query, me, now);
    const items: MessageView[] = [];
    let bytes = 0;
    let last: number | undefined;
    for (const candidate of candidates) {
      if (items.length === query.limit) return { items, next: String(last) };
      if (matches(candidate, query, peer)) {
        const view = this.#viewOf(candidate.message, me, query.maxBodyBytes, now);
        bytes += view.bytes;
        if (items.length > 0 && bytes > MAX_PAGE_BYTES) return { items, next: String(last) };
        if (query.box !== "DEAD" || view.message.state === "DEAD") items.push(view.message);
      }
      last = candidate.key;
    }
    return { items, next: candidates.length === MAX_SCANNED ? String(last) : undefined };
  }

  #candidates({ box, text, after }: HistoryQuery, me: number, now: number): Candidate[] {
    const page = { me, before: after === undefined ? NEWEST : Number(after), limit: MAX_SCANNED };
    if (text !== undefined) {
      const words = [box === "SENT" ? senderWord(me) : recipientWord(me), ...searchWords(text)];
      return this.#found.all({ words: allOf(words), before: page.before, limit: page.limit }) as Candidate[];
    }
    if (box === "SENT") return this.#sent.all(page) as Candidate[];
    if (box === "INBOX") return this.#inbox.all(page) as Candidate[];
    return this.#dead.all({ ...page, now, maxAttempts: this.#maxAttempts }) as Candidate[];
  }

  #viewOf(message: number, me: number, maxBodyBytes: number, now: number): { message: MessageView; bytes: number } {
    const cut = cutParameter(maxBodyBytes);
    const row = this.#view.get({ message, me, cut }) as ViewRow;
    const state = row.delivery === null ? undefined : stateOf(row, now, this.#maxAttempts);
    return {
      message: { ...messageOf(row), state: state?.state, deadReason: state?.deadReason },
      bytes: row.subject_bytes + Math.min(row.body_bytes, cut),
    };
  }

  #id(name: string): number | undefined {
    return this.#agent.get(name) as number | undefined;
  }
}

function matches(candidate: Candidate, query: HistoryQuery, peer: number | undefined): boolean {
  const other = query.box === "SENT" ? candidate.recipient : candidate.sender;
  return (
    (peer === undefined || other === peer) &&
    (query.inReplyTo === undefined || candidate.in_reply_to === query.inReplyTo) &&
    (query.since === undefined || candidate.at >= query.since) &&
    (query.until === undefined || candidate.at < query.until)
  );
}
