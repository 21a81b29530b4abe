/**
 * Reads what strace wrote (-f -y -xx) into the calls that matter to a disk, and the answers that left on sockets, in
 * their order. It knows nothing of what a disk makes of them.
 */

export type Call =
  | { readonly kind: "write"; readonly path: string; readonly offset: number; readonly data: Buffer }
  | { readonly kind: "truncate"; readonly path: string; readonly size: number }
  /** A sync that returned; of a folder, too. */
  | { readonly kind: "sync"; readonly path: string; readonly ok: boolean }
  /** An open that may create; and a mkdir. */
  | { readonly kind: "create"; readonly path: string; readonly folder: boolean }
  | { readonly kind: "unlink"; readonly path: string }
  | { readonly kind: "rename"; readonly path: string; readonly to: string }
  /** The first bytes of an answer to a client were about to be written. */
  | { readonly kind: "answer"; readonly socket: string; readonly text: string };

export const TRACED = "pwrite64,pwritev,write,writev,fdatasync,fsync,ftruncate,openat,unlink,unlinkat,rename,mkdir";
/** The longest write to a database file: one of settle.ts. */
const MAX_STRING = 65_536;

export function stracePrefix(file: string, inject: readonly string[] = []): string[] {
  const faults = inject.flatMap((one) => ["-e", `inject=${one}`]);
  return ["strace", "-f", "-y", "-xx", "-s", String(MAX_STRING), "-e", `trace=${TRACED}`, ...faults, "-o", file];
}

/**
 * A write counts from when it began, for it may reach the disk at once; a sync only when it returned; an answer when it
 * began. What failed wrote nothing. Only paths under `folder` and sockets are told.
 */
export function readTrace(trace: string, folder: string): Call[] {
  const calls: (Call | undefined)[] = [];
  /** By thread: a call whose end is still to come, and its place among `calls`. */
  const begun = new Map<string, { text: string; place: number }>();
  const finish = (text: string, place: number) => {
    const call = callOf(text, folder);
    // What only its end decides stands where it ended.
    if (call?.kind === "sync") calls.push(call);
    else calls[place] = call;
  };
  for (const line of trace.split("\n")) {
    const space = line.indexOf(" ");
    const thread = line.slice(0, space);
    const rest = line.slice(space).trimStart();
    if (rest.endsWith("<unfinished ...>")) {
      begun.set(thread, {
        text: rest.slice(0, -"<unfinished ...>".length).trimEnd(),
        place: calls.push(undefined) - 1,
      });
    } else if (rest.startsWith("<... ")) {
      const first = begun.get(thread);
      begun.delete(thread);
      if (first !== undefined) finish(first.text + rest.replace(/^<\.\.\. \w+ resumed>/, ""), first.place);
    } else if (/^\w+\(/.test(rest)) {
      finish(rest, calls.push(undefined) - 1);
    }
  }
  // A process that was killed in a write never came back from it, and its client may have the answer all the same.
  for (const { text, place } of begun.values()) {
    const call = callOf(`${text}) = 0`, folder);
    if (call?.kind === "answer") calls[place] = call;
  }
  return calls.filter((call) => call !== undefined);
}

/** `name(arguments) = result`; undefined: no matter to a disk. */
function callOf(text: string, folder: string): Call | undefined {
  const end = text.search(/\)\s+= (-?\d|\?)/);
  const name = text.slice(0, text.indexOf("("));
  const args = text.slice(name.length + 1, end);
  const returned = Number.parseInt(text.slice(text.indexOf("=", end) + 1), 10);
  if (end < 0) return undefined;
  const path = pathOf(name, args);
  if (path === undefined) return undefined;
  if (name === "write" || name === "writev") {
    if (!path.startsWith("socket:") && !path.startsWith("TCP")) return undefined;
    const answer = strings(args).join("");
    return answer.startsWith("HTTP/1.1 ") ? { kind: "answer", socket: path, text: answer } : undefined;
  }
  // What the process ended in is no matter to the disk either way; a client may have got its answer all the same.
  if (!path.startsWith(folder) || Number.isNaN(returned)) return undefined;
  switch (name) {
    case "fsync":
    case "fdatasync":
      return { kind: "sync", path, ok: returned === 0 };
    case "pwrite64":
      return returned < 0 ? undefined : writeOf(path, args, returned);
    case "ftruncate":
      return returned < 0 ? undefined : { kind: "truncate", path, size: Number(args.slice(args.lastIndexOf(",") + 1)) };
    case "openat":
      return returned < 0 || !args.includes("O_CREAT") ? undefined : { kind: "create", path, folder: false };
    case "mkdir":
      return returned < 0 ? undefined : { kind: "create", path, folder: true };
    case "unlink":
    case "unlinkat":
      return returned < 0 ? undefined : { kind: "unlink", path };
    case "rename":
      return returned < 0 ? undefined : { kind: "rename", path, to: strings(args)[1] ?? "" };
    default:
      throw new Error(`${name} on ${path}: the trace reader does not know what that means to a disk`);
  }
}

function writeOf(path: string, args: string, returned: number): Call {
  const data = decode(args.slice(args.indexOf('"') + 1, args.lastIndexOf('"')));
  if (data.length < returned && isDatabase(path)) {
    throw new Error(`a write of ${returned} bytes to ${path} is longer than what was traced`);
  }
  const offset = Number(args.slice(args.lastIndexOf(",") + 1));
  return { kind: "write", path, offset, data: data.subarray(0, returned) };
}

/** What a power loss may touch: -shm does not survive, .lock and .ballast hold nothing. */
export function isDatabase(path: string): boolean {
  return /\.db(-wal|-journal)?$/.test(path);
}

/** The file that the call is about: behind its descriptor, or named. */
function pathOf(name: string, args: string): string | undefined {
  if (name === "openat" || name === "unlinkat") return strings(args)[0];
  if (name === "unlink" || name === "rename" || name === "mkdir") return strings(args)[0];
  const [, escaped] = /^\d+<([^>]*)>/.exec(args) ?? [];
  if (escaped === undefined) return undefined;
  return escaped.startsWith("\\x") ? decode(escaped).toString() : escaped;
}

function strings(args: string): string[] {
  return [...args.matchAll(/"((?:\\x..)*)"/g)].map(([, text = ""]) => decode(text).toString("latin1"));
}

/** `\x41\x42` is AB. By hand: a trace holds tens of megabytes of it. */
function decode(text: string): Buffer {
  const bytes = Buffer.allocUnsafe(text.length / 4);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = (digit(text.charCodeAt(i * 4 + 2)) << 4) | digit(text.charCodeAt(i * 4 + 3));
  }
  return bytes;
}

/** Of a lower-case hexadecimal digit. */
function digit(code: number): number {
  return code < 0x61 ? code - 0x30 : code - 0x57;
}
