/**
 * How figures are written in the report.
 */

/** Three digits: more would only look exact. */
export function rate(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString("en");
}

export function milliseconds(value: number): string {
  return Math.abs(value) < 10 ? value.toFixed(2) : value.toFixed(1);
}

export function megabytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(0);
}
