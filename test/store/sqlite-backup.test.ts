/** Backups of a SQLite store: whole, beside a bus that goes on writing, and never over another file. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { backupStore } from "#dist/store/backup-store.js";
import { temporaryFolder } from "../start-bus.ts";
import { openSqlite } from "./open-sqlite.ts";
import { runElsewhere } from "./run-elsewhere.ts";
import { begin, bodies, ids, newMessage, type StoreUnderTest } from "./store-under-test.ts";

/** In a process of its own, as `agentbus backup` does it: in this one it would stop the writers. */
function backupElsewhere(file: string, target: string): Promise<void> {
  return runElsewhere('await backupStore("sqlite:" + given[0], given[1])', file, target);
}

/** A store in a folder of its own with some mail, and where its backup goes. */
async function begun(count: number): Promise<{ mail: StoreUnderTest; file: string; target: string }> {
  const folder = temporaryFolder();
  const file = `${folder}/bus.db`;
  mkdirSync(`${folder}/backups`);
  const mail = await begin((opening) => openSqlite(file, opening));
  await mail.batch(...Array.from({ length: count }, (_, i) => ({ body: `${i} ${"x".repeat(2000)}` })));
  return { mail, file, target: `${folder}/backups/copy.db` };
}

describe("a backup", () => {
  test("under writes holds everything that was answered before it began, and is whole", async () => {
    const { mail, file, target } = await begun(1000);
    const answered = new Set(ids(await mail.look("jack", { maxMessages: 1000 })));
    let writing = true;
    const writers = Array.from({ length: 4 }, async () => {
      while (writing) {
        const message = newMessage({ body: "x".repeat(500) });
        await mail.store.send([message]);
        answered.add(message.id);
      }
    });
    const backups: [string, Set<string>][] = [];
    for (const number of [1, 2, 3]) {
      const before = new Set(answered);
      await backupElsewhere(file, `${target}.${number}`);
      expect(answered.size, "mail was sent meanwhile").toBeGreaterThan(before.size);
      backups.push([`${target}.${number}`, before]);
    }
    writing = false;
    await Promise.all(writers);
    for (const [copy, before] of backups) {
      const db = new Database(copy, { readonly: true });
      onTestFinished(() => {
        db.close();
      });
      expect(db.pragma("integrity_check", { simple: true })).toBe("ok");
      const held = new Set(db.prepare("select id from messages").pluck().all());
      expect([...before].filter((id) => !held.has(id))).toEqual([]);
    }
    expect((await mail.look("jack")).messages).toHaveLength(50);
  });

  test("is a store that can be served, with leases, keys and receipts", async () => {
    const { mail, file, target } = await begun(1);
    const { id } = await mail.send({ to: "ann", body: "kept", requestId: "k" });
    await mail.read("ann");
    await mail.lease("jack", 60_000, { requestId: "lease" });
    await backupStore(`sqlite:${file}`, target);
    await mail.post("jack", "after");
    const copy = await begin((opening) => openSqlite(target, opening));
    expect((await copy.lease("jack", 60_000, { requestId: "lease" })).messages).toHaveLength(1);
    expect(bodies(await copy.look("jack"))).toEqual([]);
    expect(await copy.send({ to: "ann", body: "kept", requestId: "k" })).toMatchObject({ id, deduplicated: true });
    expect((await copy.receipt(id, "ann")).state).toBe("READ");
  });

  test("is one file, whose size it tells", async () => {
    const { file, target } = await begun(100);
    const { bytes, milliseconds } = await backupStore(`sqlite:${file}`, target);
    expect(bytes).toBe(statSync(target).size);
    expect(bytes).toBeGreaterThan(200_000);
    expect(milliseconds).toBeGreaterThanOrEqual(0);
    expect(readdirSync(dirname(target))).toEqual(["copy.db"]);
  });

  test("can be made while no bus runs", async () => {
    const { mail, file, target } = await begun(3);
    await mail.store.close();
    await backupStore(`sqlite:${file}`, target);
    const copy = await begin((opening) => openSqlite(target, opening));
    expect((await copy.look("jack")).messages).toHaveLength(3);
  });

  test("never overwrites a file, whatever that is", async () => {
    const { file, target } = await begun(1);
    writeFileSync(target, "precious");
    await expect(backupStore(`sqlite:${file}`, target)).rejects.toThrow(`${target} exists; a backup never overwrites`);
    expect(readFileSync(target, "utf8")).toBe("precious");
    await expect(backupStore(`sqlite:${file}`, file)).rejects.toThrow("never overwrites");
    await expect(backupStore(`sqlite:${file}`, dirname(target))).rejects.toThrow("never overwrites");
    expect(readdirSync(dirname(target))).toEqual(["copy.db"]);
  });

  test("of nothing is refused and makes no file", async () => {
    const folder = temporaryFolder();
    await expect(backupStore(`sqlite:${folder}/none.db`, `${folder}/copy.db`)).rejects.toThrow(
      `there is no database at ${folder}/none.db`,
    );
    await expect(backupStore("postgres://x", `${folder}/copy.db`)).rejects.toThrow("--store must be sqlite:PATH");
    expect(readdirSync(folder)).toEqual([]);
  });

  test("that fails leaves no file behind, and the bus goes on", async () => {
    const { mail, file, target } = await begun(1);
    await expect(backupStore(`sqlite:${file}`, `${target}/in/no/folder.db`)).rejects.toThrow();
    const text = `${target}.text`;
    writeFileSync(text, "no database\n".repeat(100));
    await expect(backupStore(`sqlite:${text}`, target)).rejects.toThrow();
    expect(readdirSync(dirname(target))).toEqual(["copy.db.text"]);
    await mail.post("jack", "on");
    expect((await mail.look("jack")).messages).toHaveLength(2);
  });

  test("is not hindered by what an interrupted one left", async () => {
    const { file, target } = await begun(3);
    writeFileSync(`${target}.partial`, "half a copy");
    await backupStore(`sqlite:${file}`, target);
    const copy = await begin((opening) => openSqlite(target, opening));
    expect((await copy.look("jack")).messages).toHaveLength(3);
  });
});
