/** Lets a command that waits end in its own words when it is told to stop. It must not know what it waits for. */

export interface Interruption {
  /** Aborted by the first SIGINT or SIGTERM; a second one ends the process at once. */
  readonly signal: AbortSignal;
  /** Ends the process by the signal that came, so that a shell's loop ends too. */
  obey(): void;
  forget(): void;
}

export function untilSignal(): Interruption {
  const told = new AbortController();
  let came: NodeJS.Signals | undefined;
  const tell = (name: NodeJS.Signals) => {
    came = name;
    forget();
    told.abort();
  };
  const forget = () => {
    process.off("SIGINT", tell);
    process.off("SIGTERM", tell);
  };
  process.on("SIGINT", tell);
  process.on("SIGTERM", tell);
  return { signal: told.signal, obey: () => void (came && process.kill(process.pid, came)), forget };
}
