/**
 * Whether this Node can load the database driver: one that is too old ends by a segmentation fault, without a word. It
 * must not import anything, nor use syntax that an old Node can't parse.
 */

/** better-sqlite3 13 is built on Node-API 10: Node 22.14, 23.6 and all from 24 on have it. */
const NODE_API = 10;

/** What to tell its user; undefined: it is new enough. */
export function unfitNode(): string | undefined {
  const { napi, node } = process.versions;
  if (Number(napi) >= NODE_API) return undefined;
  return `agentbus needs Node 22.14, 23.6 or newer; this is ${node}. Install a newer one from https://nodejs.org.`;
}
