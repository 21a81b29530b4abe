/**
 * Ends a worker as whoever runs it wishes: first no more is begun, after a grace what runs is ended, and a second signal kills
 * at once. It must not know what is worked on.
 */
import { setMaxListeners } from "node:events";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface StopInSteps {
  /** Begin nothing more. */
  readonly stop: AbortSignal;
  /** The grace is over: end what runs. */
  readonly end: AbortSignal;
  /** A second signal: kill what runs. The process ends with it. */
  readonly kill: AbortSignal;
  /** Signals do again what they did before. */
  forget(): void;
}

/** `told` is called with the first signal. */
export function stopInSteps(graceMs: number, told: () => void): StopInSteps {
  const [stop, end, kill] = [new AbortController(), new AbortController(), new AbortController()];
  // Each command that runs listens.
  setMaxListeners(0, end.signal, kill.signal);
  let grace: NodeJS.Timeout | undefined;
  const obey = (signal: NodeJS.Signals) => {
    if (!stop.signal.aborted) {
      told();
      stop.abort();
      grace = setTimeout(() => end.abort(new Error("the worker was told to stop")), graceMs);
      return;
    }
    kill.abort();
    forget();
    process.kill(process.pid, signal);
  };
  const forget = () => {
    clearTimeout(grace);
    for (const signal of SIGNALS) process.off(signal, obey);
  };
  for (const signal of SIGNALS) process.on(signal, obey);
  return { stop: stop.signal, end: end.signal, kill: kill.signal, forget };
}
