/**
 * The one function that splits texts into words for the full-text search, and folds them: every engine indexes what it
 * returns, so that all of them find the same. It knows no engine.
 */

/** Longer words are cut to this many characters: nobody searches for them, and an index is not for blobs. */
const MAX_WORD_LENGTH = 64;
/** Distinct words of one message; what comes later is not found. */
const MAX_WORDS = 20_000;

/** Scripts that are written without spaces: every character is a word. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]/u;
const WORD = /[\p{L}\p{N}\p{M}]+/gu;
const MARK = /\p{M}+/gu;

/** Distinct words in lower case without accents: letters and digits of any script, in the order of their appearance. */
export function searchWords(text: string): string[] {
  const words = new Set<string>();
  for (const [match] of text.normalize("NFKD").toLowerCase().matchAll(WORD)) {
    const word = match.replace(MARK, "");
    if (UNSPACED.test(word)) for (const character of word) words.add(character);
    else if (word !== "") words.add([...word.slice(0, 2 * MAX_WORD_LENGTH)].slice(0, MAX_WORD_LENGTH).join(""));
    if (words.size >= MAX_WORDS) break;
  }
  return [...words];
}
