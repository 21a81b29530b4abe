/** The subject of an answer. It must not know whom it goes to. */

/** The contract's limit, in bytes of UTF-8. */
const MAX_SUBJECT_BYTES = 1024;

/** As in e-mail: behind one "Re:", and cut where that makes it too long. */
export function replySubject(subject: string): string {
  const whole = /^re:/i.test(subject) ? subject : `Re: ${subject}`;
  const bytes = new TextEncoder().encode(whole).subarray(0, MAX_SUBJECT_BYTES);
  // In stream mode a decoder keeps back an unfinished last character instead of replacing it.
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes, { stream: true });
}
