/**
 * Makes stored messages findable, in slices inside a write transaction, a moment after their Sends. Words are
 * search-words.ts's; beside them each message has one word for its sender and one for each recipient.
 */
import { searchWords } from "../../search-words.ts";
import type { Database } from "./open-database.ts";

/** A private-use character: no word of a text has it. */
const MARK = "\u{E000}";

export function senderWord(agent: number): string {
  return `${MARK}s${agent}`;
}

export function recipientWord(agent: number): string {
  return `${MARK}r${agent}`;
}

/** An FTS5 query for all of these words. */
export function allOf(words: readonly string[]): string {
  return words.map((word) => `"${word}"`).join(" ");
}

export class SearchIndex {
  readonly #behind;
  readonly #recipients;
  readonly #insert;
  readonly #advance;

  constructor(db: Database) {
    this.#behind = db.prepare(`
      select seq, sender, subject, body from messages
      where seq > (select value from progress where name = 'searchable') order by seq limit ?`);
    this.#recipients = db.prepare("select inbox from deliveries where message = ?").pluck();
    this.#insert = db.prepare("insert into message_words (rowid, words) values (?, ?)");
    this.#advance = db.prepare("update progress set value = ? where name = 'searchable'");
  }

  /** At most `limit` messages, or about `maxCharacters`. Resolves to whether more wait. */
  slice(limit: number, maxCharacters: number): boolean {
    let characters = 0;
    let count = 0;
    let last: number | undefined;
    type Row = { seq: number; sender: number; subject: string; body: string };
    // Not iterate(): no other statement may run on a connection that is in the middle of a query.
    for (const { seq, sender, subject, body } of this.#behind.all(limit) as Row[]) {
      const recipients = (this.#recipients.all(seq) as number[]).map(recipientWord);
      this.#insert.run(seq, [senderWord(sender), ...recipients, ...searchWords(`${subject} ${body}`)].join(" "));
      last = seq;
      count++;
      characters += body.length;
      if (characters > maxCharacters) break;
    }
    if (last !== undefined) this.#advance.run(last);
    return count === limit || characters > maxCharacters;
  }
}
