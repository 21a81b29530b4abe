/** Makes text of others harmless for a terminal. It must not know what the text is. */

/** Control characters become visible signs, so that no mail can move the cursor, recolour or answer for the reader. */
function visible(control: string): string {
  const code = control.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? "\u2421" : `<${code.toString(16)}>`;
}

/** For a heading or a cell of a table: what stands there must not be able to begin a line of its own. */
export function oneLine(text: string): string {
  return text.replace(/[\t\r\n\u2028\u2029]+/g, " ").replace(/\p{Cc}/gu, visible);
}

/** For a body on a terminal: keeps its lines and tabs. */
export function withoutControls(text: string): string {
  return text
    .replaceAll("\r\n", "\n")
    .replace(/\p{Cc}/gu, (sign) => (sign === "\n" || sign === "\t" ? sign : visible(sign)));
}

/** At most so many characters; "…" stands for what is left out, here or (`cut`) before. */
export function cutText(text: string, max: number, cut = false): string {
  const signs = Array.from(text);
  return signs.length > max || cut ? `${signs.slice(0, max - 1).join("")}…` : text;
}
