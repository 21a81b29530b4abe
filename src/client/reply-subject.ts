/** The subject of an answer. It must not know whom it goes to. */
import { MAX_SUBJECT_BYTES, textOfCut } from "../message.ts";

/** As in e-mail: behind one "Re:", and cut where that makes it too long. */
export function replySubject(subject: string): string {
  const whole = /^re:/i.test(subject) ? subject : `Re: ${subject}`;
  return textOfCut(new TextEncoder().encode(whole).subarray(0, MAX_SUBJECT_BYTES));
}
