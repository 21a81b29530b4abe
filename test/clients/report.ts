/** What an agent says that it saw: the lines that examples/clients/README.md describes. */

export interface Got {
  readonly subject: string;
  readonly id: string;
  readonly from: string;
  readonly body: string;
  readonly attempt: number;
  readonly inReplyTo: string;
}

export interface Report {
  readonly registered: readonly string[];
  /** Reasons. */
  readonly errors: readonly string[];
  readonly sent: readonly { readonly subject: string; readonly id: string; readonly deduplicated: boolean }[];
  readonly refused: readonly { readonly reason: string; readonly waitMs: number }[];
  /** In the order in which it was handed out. */
  readonly got: readonly Got[];
  readonly acked: readonly number[];
  readonly quiet: readonly { readonly messages: number; readonly ms: number }[];
}

/** Lines that are no steps are passed over. */
export function readReport(printed: string): Report {
  const lines = printed.split("\n").map((line) => line.split("\t"));
  const of = (step: string) => lines.filter(([first]) => first === step).map(([, ...fields]) => fields);
  return {
    registered: of("registered").map(([name = ""]) => name),
    errors: of("error").map(([reason = ""]) => reason),
    sent: of("sent").map(([subject = "", id = "", deduplicated]) => ({
      subject,
      id,
      deduplicated: deduplicated === "true",
    })),
    refused: of("refused").map(([reason = "", wait]) => ({ reason, waitMs: Number(wait) })),
    got: of("got").map(([subject = "", id = "", from = "", body = "", attempt, inReplyTo = ""]) => ({
      subject,
      id,
      from,
      body,
      attempt: Number(attempt),
      inReplyTo,
    })),
    acked: of("acked").map(([count]) => Number(count)),
    quiet: of("quiet").map(([messages, ms]) => ({ messages: Number(messages), ms: Number(ms) })),
  };
}
