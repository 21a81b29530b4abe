/** A disk that really is full, a few MiB of tmpfs: nothing false is acknowledged, and all that was is there afterwards. */
import { execFileSync } from "node:child_process";
import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { backupStore } from "#dist/store/backup-store.js";
import type { NewMessage } from "#dist/store.js";
import { temporaryFolder } from "../start-bus.ts";
import { openSqlite } from "./open-sqlite.ts";
import { begin, bodies, type Draft, ids, newMessage, refusing, type StoreUnderTest } from "./store-under-test.ts";

const DISK_BYTES = 4 * 1024 * 1024;
const VITEST = fileURLToPath(new URL("../../node_modules/vitest/vitest.mjs", import.meta.url));

/** A folder that is a disk of its own. Mounting is root's; others get root's rights within a namespace, see the end. */
function smallDisk(): string {
  const folder = temporaryFolder();
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "tmpfs", folder], { stdio: "pipe" });
  onTestFinished(() => {
    execFileSync("umount", ["--lazy", folder]);
  });
  return folder;
}

const canMount = (() => {
  try {
    execFileSync("unshare", ["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], { stdio: "pipe" });
    return true;
  } catch {
    return false;
  }
})();

/** Takes the rest of the disk, to the last byte. What it returns gives it back. */
function fill(folder: string): () => void {
  const filler = `${folder}/filler`;
  for (let n = 0; ; n++) {
    const { bavail, bsize } = statfsSync(folder);
    if (bavail === 0) return () => rmSync(filler);
    writeFileSync(filler, Buffer.alloc(bavail * bsize), { flag: n === 0 ? "w" : "a" });
  }
}

/** The store may look for new space only now and then. */
const LOOKS_EVERY_MS = 60_000;

/** True: acknowledged; false: STORAGE_FULL, as an outcome or for the whole batch. Any other error is thrown. */
async function isTaken(mail: StoreUnderTest, message: NewMessage): Promise<boolean> {
  const outcome = await mail.store.send([message]).then(
    ([one]) => one,
    (error: unknown) => error,
  );
  if (!(outcome instanceof Error)) return true;
  expect(outcome).toMatchObject(refusing("STORAGE_FULL"));
  return false;
}

/** Sends until the disk is full and stays so; tells what was acknowledged. */
async function sendUntilFull(mail: StoreUnderTest, draft: Draft): Promise<string[]> {
  const acknowledged: string[] = [];
  for (let refusals = 0; refusals < 5; ) {
    const message = newMessage(draft);
    if (await isTaken(mail, message)) {
      acknowledged.push(message.id);
      refusals = 0;
    } else {
      refusals++;
    }
  }
  return acknowledged;
}

async function inbox(mail: StoreUnderTest, agent: string): Promise<string[]> {
  return ids(await mail.look(agent, { maxMessages: 100_000, maxBytes: 2 ** 30 }));
}

function testFullDisk(): void {
  async function begun() {
    const folder = smallDisk();
    const mail = await begin((opening) => openSqlite(`${folder}/bus.db`, opening));
    await mail.register("joe", "jack");
    return { folder, mail };
  }

  test("refuses every Send with STORAGE_FULL, and has exactly what it acknowledged, also when opened again", async () => {
    const { folder, mail } = await begun();
    const acknowledged = await sendUntilFull(mail, { body: "x".repeat(30_000) });
    expect(acknowledged.length).toBeGreaterThan(10);
    acknowledged.push(...(await sendUntilFull(mail, { body: "small" })));
    expect(await inbox(mail, "jack")).toEqual(acknowledged);
    const free = fill(folder);
    expect(await inbox(mail, "jack")).toEqual(acknowledged);
    free();
    await mail.restart();
    expect(await inbox(mail, "jack")).toEqual(acknowledged);
  });

  test("fails the whole of a batch that does not fit, small neighbours too, and takes later batches", async () => {
    const { mail } = await begun();
    const acknowledged = await sendUntilFull(mail, { body: "x".repeat(100_000) });
    // One turn of the event loop: one transaction.
    const huge = [{ body: "y".repeat(2_000_000) }, { body: "small" }, { body: "y".repeat(2_000_000) }].map(newMessage);
    expect(await Promise.all(huge.map((message) => isTaken(mail, message)))).toEqual([false, false, false]);
    expect(await inbox(mail, "jack")).toEqual(acknowledged);
    mail.later(LOOKS_EVERY_MS);
    const later = newMessage({ body: "small" });
    const taken = await isTaken(mail, later);
    expect(await inbox(mail, "jack")).toEqual(taken ? [...acknowledged, later.id] : acknowledged);
  });

  test("takes mail again as soon as there is space, and all of it is there when opened again", async () => {
    const { folder, mail } = await begun();
    const first = await mail.post("jack", "before");
    const free = fill(folder);
    first.push(...(await sendUntilFull(mail, { body: "x".repeat(10_000) })));
    free();
    mail.later(LOOKS_EVERY_MS);
    const next = await Promise.all(Array.from({ length: 20 }, (_, i) => mail.send({ body: `after ${i}` })));
    const expected = [...first, ...next.map(({ id }) => id)];
    expect(await inbox(mail, "jack")).toEqual(expected);
    await mail.restart();
    expect(await inbox(mail, "jack")).toEqual(expected);
  });

  test("neither reads nor leases what it cannot write down", async () => {
    const { folder, mail } = await begun();
    const posted = await mail.post("jack", ...Array.from({ length: 20 }, (_, i) => `${i}`));
    const free = fill(folder);
    posted.push(...(await sendUntilFull(mail, { body: "" })));
    const taken: string[] = [];
    for (let i = 0; i < posted.length + 5; i++) {
      try {
        taken.push(...ids(await mail.read("jack", { maxMessages: 1 })));
      } catch (error) {
        expect(error).toMatchObject(refusing("STORAGE_FULL"));
      }
    }
    expect(await inbox(mail, "jack")).toEqual(posted.slice(taken.length));
    expect(taken).toEqual(posted.slice(0, taken.length));
    free();
    await mail.restart();
    expect(await inbox(mail, "jack")).toEqual(posted.slice(taken.length));
  });

  test("keeps a request_id free when the Send with it was refused", async () => {
    const { folder, mail } = await begun();
    const free = fill(folder);
    await sendUntilFull(mail, { to: "ann", body: "" });
    const draft = { body: "x".repeat(200_000), requestId: "k" };
    expect(await isTaken(mail, newMessage(draft))).toBe(false);
    free();
    mail.later(LOOKS_EVERY_MS);
    expect((await mail.send(draft)).deduplicated).toBe(false);
    expect((await mail.send(draft)).deduplicated).toBe(true);
    expect((await mail.look("jack")).messages).toHaveLength(1);
  });

  test("lets agents finish: acks and leases go on after Sends are refused", async () => {
    const { folder, mail } = await begun();
    const posted = await mail.post("jack", ...Array.from({ length: 20 }, (_, i) => `${i}`));
    fill(folder);
    await sendUntilFull(mail, { to: "ann", body: "x".repeat(1000) });
    const { leaseId, messages } = await mail.lease("jack", 60_000, { maxMessages: 10 });
    const leased = messages.map(({ id }) => id);
    expect(leased).toEqual(posted.slice(0, 10));
    expect(await mail.store.ack("jack", leased, leaseId)).toEqual({ ackedCount: 10, unknown: [], stale: [] });
    expect((await mail.store.ack("jack", posted, undefined)).ackedCount).toBe(20);
    await mail.restart();
    expect(await inbox(mail, "jack")).toEqual([]);
  });

  test("passes its check again once there is space", async () => {
    const { folder, mail } = await begun();
    const free = fill(folder);
    await sendUntilFull(mail, { body: "" });
    free();
    mail.later(LOOKS_EVERY_MS);
    await expect(mail.store.check()).resolves.toBeUndefined();
    expect(await isTaken(mail, newMessage())).toBe(true);
  });

  test("is read from as before", async () => {
    const { folder, mail } = await begun();
    const [id = ""] = await mail.post("jack", "kept");
    fill(folder);
    await sendUntilFull(mail, { to: "ann", body: "" });
    expect(bodies(await mail.look("jack"))).toEqual(["kept"]);
    expect(await mail.store.getMessage("jack", id)).toMatchObject({ body: "kept" });
    expect(await mail.store.getReceipt(id, 10, undefined)).toMatchObject({ recipientCount: 1 });
    expect(await mail.registered()).toContain("jack");
  });

  test("is not copied onto one: a backup that does not fit leaves nothing behind", async () => {
    const folder = smallDisk();
    const file = `${temporaryFolder()}/bus.db`;
    const mail = await begin((opening) => openSqlite(file, opening));
    await mail.batch(...Array.from({ length: 3 }, () => ({ body: "x".repeat(2_000_000) })));
    const { bavail } = statfsSync(folder);
    await expect(backupStore(`sqlite:${file}`, `${folder}/copy.db`)).rejects.toThrow();
    expect(statfsSync(folder).bavail).toBe(bavail);
  });
}

/** The same tests where this user is root: in a namespace of its own. */
function testInNamespace(): void {
  const run = ["--user", "--map-root-user", "--mount", process.execPath, VITEST, "run", fileURLToPath(import.meta.url)];
  expect(process.env["AGENTBUS_TEST_NAMESPACE"], "mounting is impossible even in a namespace").toBeUndefined();
  const output = execFileSync("unshare", run, {
    encoding: "utf8",
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    env: { ...process.env, AGENTBUS_TEST_NAMESPACE: "1" },
  });
  expect(output).toMatch(/9 passed, 0 failed/);
}

if (canMount) describe("a SQLite store on a full disk", testFullDisk);
else test("a SQLite store on a full disk, in a namespace of its own", { timeout: 120_000 }, testInNamespace);
