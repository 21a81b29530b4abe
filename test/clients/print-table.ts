/** The table of a run, a row a client. */
import { alignTable } from "../../bench/align-table.ts";

export interface Row {
  readonly client: string;
  /** Protocols that the bus saw. */
  readonly spoke: string;
  readonly make: string;
  readonly run: string;
  readonly steps: Readonly<Record<string, boolean>>;
  /** Why it failed, in words. */
  readonly failure: string | undefined;
  /** All that the agent said. */
  readonly printed: string;
}

export function tableOf(rows: readonly Row[]): string {
  const [{ steps } = { steps: {} }] = rows;
  const head = ["client", "spoke", "made in", "ran for", ...Object.keys(steps).filter((step) => step !== "spoke")];
  const lines = rows.map(({ client, spoke, make, run, steps }) => {
    const { spoke: asExpected, ...others } = steps;
    const words = Object.values(others).map((passed) => (passed ? "ok" : "FAILED"));
    return [client, asExpected ? spoke : `FAILED: ${spoke}`, make, run, ...words];
  });
  return alignTable([head, ...lines]);
}
