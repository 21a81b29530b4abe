/** The kernel as a witness: what the bus answered was synced to disk before the answer was written. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CAN_TRACE } from "../fixtures/strace.ts";
import { spawnBus, temporaryFolder } from "../start-bus.ts";

const SENDS = 40;
const CALLS = "trace=fdatasync,fsync,pwrite64,write,writev,sendmsg,sendto";

interface Event {
  /** Seconds since 1970. */
  readonly at: number;
  readonly kind: "synced" | "wal" | "answer";
  readonly ids: readonly string[];
}

/** strace lines -> the end of each sync, the start of each write to the WAL and of each answer on a socket. */
function eventsOf(trace: string, answered: ReadonlySet<string>): Event[] {
  const events: Event[] = [];
  const unfinished = new Map<string, string>();
  for (const line of trace.split("\n")) {
    const [, thread = "", at = "", rest = ""] = /^(\d+)\s+(\d+\.\d+)\s(.*)$/.exec(line) ?? [];
    if (rest === "") continue;
    const time = Number(at);
    const begun = /^(\w+)\(.*<unfinished \.\.\.>$/.exec(rest)?.[1];
    if (begun !== undefined) unfinished.set(thread, rest);
    const resumed = /^<\.\.\. (\w+) resumed>/.exec(rest)?.[1];
    const name = begun ?? resumed ?? /^(\w+)\(/.exec(rest)?.[1];
    const first = unfinished.get(thread);
    const text = resumed === undefined ? rest : `${first ?? ""}${rest}`;
    if (resumed !== undefined) unfinished.delete(thread);
    const wal = text.includes("bus.db-wal");
    if (name === "fdatasync" || name === "fsync") {
      // A sync counts when it has returned 0, not when it began.
      if (begun === undefined && wal && /= 0$/.test(rest)) events.push({ at: time, kind: "synced", ids: [] });
    } else if (resumed === undefined && name === "pwrite64") {
      const ids = [...answered].filter((id) => text.includes(id));
      if (wal && ids.length > 0) events.push({ at: time, kind: "wal", ids });
    } else if (resumed === undefined && text.includes("HTTP/1.1 200")) {
      events.push({
        at: time,
        kind: "answer",
        ids: [...answered].filter((id) => text.includes(`\\"id\\":\\"${id}\\"`)),
      });
    }
  }
  return events;
}

describe.skipIf(!CAN_TRACE)("durability before the answer", () => {
  test("answers a Send only after the fdatasync of the WAL that holds it returned", { timeout: 60_000 }, async () => {
    const folder = temporaryFolder();
    const file = join(folder, "trace");
    // -y names the files behind descriptors, -s shows enough of a page to find the id in it.
    const prefix = ["strace", "-f", "-ttt", "-y", "-s", "8192", "-e", CALLS, "-o", file];
    const bus = await spawnBus({}, { folder, prefix });
    const send = (i: number) => bus.ok("Send", { from: `joe-${i % 8}`, to: "jack", subject: "s", body: `${i}` });
    const alone = [];
    for (let i = 0; i < SENDS / 2; i++) alone.push(await send(i));
    const together = await Promise.all(Array.from({ length: SENDS / 2 }, (_, i) => send(i)));
    await bus.stop();

    const ids = new Set([...alone, ...together].map(({ id }: { id: string }) => id));
    const events = eventsOf(readFileSync(file, "utf8"), ids);
    for (const id of ids) {
      const written = events.find(({ kind, ids }) => kind === "wal" && ids.includes(id));
      const answer = events.find(({ kind, ids }) => kind === "answer" && ids.includes(id));
      const synced = events.find(({ kind, at }) => kind === "synced" && written !== undefined && at > written.at);
      expect(written, `the WAL write of ${id} is in the trace`).toBeDefined();
      expect(answer, `the answer with ${id} is in the trace`).toBeDefined();
      expect(synced?.at, `a sync ended between the WAL write of ${id} and its answer`).toBeLessThan(answer?.at ?? 0);
    }
    const syncs = events.filter(({ kind }) => kind === "synced").length;
    process.stdout.write(`sync before answer: ${ids.size} sends, ${syncs} syncs of the WAL, each before its answers\n`);
  });
});
