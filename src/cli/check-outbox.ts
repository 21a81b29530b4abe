/** What doctor finds out about the outbox of this host. It must not send, make or change anything. */
import { constants } from "node:fs";
import { access, stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { DraftHead } from "../client/outbox/draft.ts";
import { outboxFile } from "../client/outbox/outbox-file.ts";
import type { Settings } from "../config.ts";
import { type Check, fail, ok, warn } from "./doctor-check.ts";
import { localFailure } from "./failure.ts";

/** Some hundred drafts of the largest size. */
const MIN_FREE_BYTES = 100 * 1024 * 1024;
const MIB = 1024 * 1024;

export async function checkOutbox({ outbox }: Settings): Promise<Check> {
  const file = outboxFile(outbox);
  if (file === undefined) return warn("outbox", "off: what is sent while the bus is away is refused, not kept");
  try {
    const isThere = await exists(file);
    const folder = await nearestFolder(dirname(file));
    if (isThere) await access(file, constants.W_OK);
    // Beside the file, too: that is where SQLite keeps its journal. The dot makes a file in a folder's place an error.
    await access(`${folder}/.`, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = await statfs(folder);
    const free = bavail * bsize;
    if (free < MIN_FREE_BYTES) {
      return warn("outbox", `${file}: only ${Math.floor(free / MIB)} MiB are free on its disk: make room`);
    }
    return draftsOf(file, isThere ? await readDrafts(file) : []);
  } catch (error) {
    return fail(
      "outbox",
      `${file}: ${localFailure(error).message}; see that this user may write there, or name another file: --outbox or AGENTBUS_OUTBOX`,
    );
  }
}

function draftsOf(file: string, drafts: readonly DraftHead[]): Check {
  const waiting = drafts.filter(({ state }) => state === "waiting" || state === "parked").length;
  const ended = drafts.length - waiting;
  if (drafts.length === 0) return ok("outbox", `${file}: no drafts`);
  const count = `${file}: drafts that wait: ${waiting}, that will not be sent: ${ended}`;
  if (ended > 0) return warn("outbox", `${count}; agentbus outbox says why`);
  return warn("outbox", `${count}; agentbus outbox flush --as NAME sends them`);
}

async function readDrafts(file: string): Promise<DraftHead[]> {
  // Opening an empty one would make its tables.
  if ((await stat(file)).size === 0) return [];
  // Only here, so that nobody loads a database who has no drafts.
  const { Drafts } = await import("../client/outbox/drafts.ts");
  const drafts = new Drafts(file);
  try {
    return drafts.list();
  } finally {
    drafts.close();
  }
}

/** Where the missing folders would be made. */
async function nearestFolder(folder: string): Promise<string> {
  return (await exists(folder)) || dirname(folder) === folder ? folder : nearestFolder(dirname(folder));
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
