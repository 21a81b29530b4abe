/** The one table of exit codes and what they mean. It must not know which command ends with which. */

export const EXIT = { done: 0, refused: 1, usage: 2, nothing: 3, queued: 4, unreachable: 5 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** As `--help` explains them. */
export const exitCodeHelp: Readonly<Record<keyof typeof EXIT, string>> = {
  done: "done",
  refused: "refused by the bus (the first word says why), or failed here",
  usage: "wrong usage or settings",
  nothing: "nothing there: an empty inbox, no answer in time",
  queued: "kept in the outbox on this host: not sent yet, tried until it is",
  unreachable: "no bus answered, or it is not available now: try again later",
};
