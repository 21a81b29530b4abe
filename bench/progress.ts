/**
 * Says on stderr what is being measured: one line that is rewritten on a terminal, one line a step elsewhere.
 */
const CLEAR_LINE = "\r\x1b[K";

export class Progress {
  readonly #began = performance.now();

  tell = (what: string): void => {
    const seconds = ((performance.now() - this.#began) / 1000).toFixed(0).padStart(3);
    process.stderr.write(process.stderr.isTTY ? `${CLEAR_LINE}${seconds} s  ${what}` : `${seconds} s  ${what}\n`);
  };

  done(): void {
    if (process.stderr.isTTY) process.stderr.write(CLEAR_LINE);
  }
}
