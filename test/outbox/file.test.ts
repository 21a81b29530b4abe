/** The file of drafts: as durable and as private as it must be, shared, and never a silent loss when it can't be used. */
import { execFile } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { Drafts } from "#dist/client/outbox/drafts.js";
import { openOutbox } from "#dist/client/outbox/open-outbox.js";
import { NotKeptError } from "#dist/client/outbox/outbox-errors.js";
import { outboxFile } from "#dist/client/outbox/outbox-file.js";
import { CAN_MOUNT, smallDisk } from "../reliability/io-errors/small-disk.ts";
import { startBus, temporaryFolder } from "../start-bus.ts";
import { away, keep, letter, newOutbox, over, subjects } from "./senders.ts";

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

/** A Send that goes nowhere, and why no draft was kept. */
async function whyNotKept(file: string): Promise<string> {
  const error = await newOutbox(file)
    .sender(away)
    .send(letter())
    .catch((failed: unknown) => failed);
  expect(error).toBeInstanceOf(NotKeptError);
  return (error as NotKeptError).message;
}

describe("the file of drafts", () => {
  test("is synced at every commit, its folder too, whatever it was opened with before", () => {
    const file = `${temporaryFolder()}/outbox.db`;
    newOutbox(file).list();
    for (const spoil of ["journal_mode = wal", "journal_mode = persist", "synchronous = off"]) {
      const other = new Database(file);
      other.pragma(spoil);
      other.close();
      const db = openOutbox(file);
      expect(db.pragma("journal_mode", { simple: true })).toBe("delete");
      expect(db.pragma("synchronous", { simple: true })).toBe(3); // EXTRA
      db.close();
    }
  });

  test("and the folders that it needs are made for its user alone", async () => {
    const folder = `${temporaryFolder()}/.local/state/agentbus`;
    const before = process.umask(0);
    onTestFinished(() => void process.umask(before));
    await keep(newOutbox(`${folder}/outbox.db`), letter());
    expect([folder, `${folder}/..`, `${folder}/../..`].map(modeOf)).toEqual(["700", "700", "700"]);
    expect(modeOf(`${folder}/outbox.db`)).toBe("600");
  });

  test("leaves a folder that is there as it is", async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    await keep(newOutbox(`${folder}/outbox.db`), letter());
    expect(modeOf(folder)).toBe("755");
  });

  test("lies under XDG_STATE_HOME, else under ~/.local/state, unless it is named", () => {
    const setting = "$XDG_STATE_HOME/agentbus/outbox.db";
    expect(outboxFile(setting, { XDG_STATE_HOME: "/var/state" })).toBe("/var/state/agentbus/outbox.db");
    for (const none of [undefined, "", "relative"]) {
      const environment = none === undefined ? {} : { XDG_STATE_HOME: none };
      expect(outboxFile(setting, environment)).toBe(`${homedir()}/.local/state/agentbus/outbox.db`);
    }
    expect(outboxFile("/tmp/mine.db", {})).toBe("/tmp/mine.db");
    expect(outboxFile("mine.db", {})).toBe(`${process.cwd()}/mine.db`);
    expect(outboxFile(false)).toBeUndefined();
  });

  test("is not made before there is a draft", async () => {
    const outbox = { file: `${temporaryFolder()}/sub/outbox.db` };
    const { sender } = newOutbox(outbox.file);
    const bus = await startBus();
    expect(await sender(over(bus)).send(letter())).toMatchObject({ status: "sent" });
    expect(await sender(over(bus)).replay("joe")).toMatchObject({ sent: 0, waiting: 0 });
    expect(existsSync(outbox.file)).toBe(false);
  });

  test("may be empty, as a crash at its making leaves it", async () => {
    const outbox = newOutbox(`${temporaryFolder()}/outbox.db`);
    writeFileSync(outbox.file, "");
    await keep(outbox, letter());
    expect(outbox.list()).toHaveLength(1);
  });

  test("that is removed under a client that has it open is made anew: nothing is kept where nobody finds it", async () => {
    const outbox = newOutbox(`${temporaryFolder()}/outbox.db`);
    const sender = outbox.sender(away);
    await sender.send(letter());
    renameSync(outbox.file, `${outbox.file}.away`);
    const kept = letter();
    expect(await sender.send(kept)).toMatchObject({ status: "queued", waiting: 1 });
    expect(outbox.list()).toMatchObject([{ subject: kept.subject }]);
    rmSync(outbox.file);
    expect(outbox.list()).toEqual([]);
  });
});

describe("processes that share the file", () => {
  /** Keeps drafts of its own without a pause; ends badly if one is not kept. */
  const KEEPING = `
    import { Drafts } from "#dist/client/outbox/drafts.js";
    const drafts = new Drafts(process.env.FILE);
    const [sender, why] = [process.env.SENDER, { now: Date.now(), reason: "", mayHaveArrived: false }];
    for (let n = 0; n < 20; n++) {
      const letter = { sender, recipient: "jack", subject: String(n), body: "", requestId: String(n) };
      drafts.keep({ bus: "http://bus", sender }, letter, why);
    }`;

  test("wait for each other, also where all of them make it at once", { timeout: 120_000 }, async () => {
    const outbox = newOutbox(`${temporaryFolder()}/sub/outbox.db`);
    const senders = ["a", "b", "c", "d", "e", "f"];
    const keeping = senders.map((sender) =>
      promisify(execFile)(process.execPath, ["--input-type=module", "--eval", KEEPING], {
        cwd: new URL("../..", import.meta.url),
        env: { FILE: outbox.file, SENDER: sender },
      }),
    );
    await Promise.all(keeping);
    for (const sender of senders) {
      const kept = outbox.drafts.list(sender).map(({ subject }) => Number(subject));
      expect(kept).toEqual(Array.from({ length: 20 }, (_, n) => n));
    }
  });
});

describe("a file that can't be used fails a Send that can't be sent, and says what to do", () => {
  test("one of a newer agentbus, which is left as it is", async () => {
    const outbox = newOutbox(`${temporaryFolder()}/outbox.db`);
    await keep(outbox, letter());
    const db = new Database(outbox.file);
    db.pragma("user_version = 2");
    db.close();
    const before = readFileSync(outbox.file);
    expect(await whyNotKept(outbox.file)).toMatch(
      /it has version 2, and this agentbus knows only 1: a newer one wrote it/,
    );
    expect(readFileSync(outbox.file).equals(before)).toBe(true);
  });

  test("a database of another program, which is left as it is", async () => {
    const file = `${temporaryFolder()}/outbox.db`;
    const db = new Database(file);
    db.pragma("journal_mode = wal");
    db.exec("create table theirs (x)");
    db.close();
    const before = readFileSync(file);
    expect(await whyNotKept(file)).toMatch(/it is no outbox of agentbus; .*--outbox FILE, AGENTBUS_OUTBOX/);
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test("no database at all, and one that is damaged in the middle", async () => {
    const folder = temporaryFolder();
    writeFileSync(`${folder}/garbage`, "garbage".repeat(1000));
    expect(await whyNotKept(`${folder}/garbage`)).toMatch(/file is not a database; it is damaged: move it away/);

    const outbox = newOutbox(`${folder}/outbox.db`);
    await keep(outbox, letter({ body: "x".repeat(100_000) }));
    const bytes = readFileSync(outbox.file);
    writeFileSync(outbox.file, bytes.fill(0xff, 4096, 40_000));
    expect(await whyNotKept(outbox.file)).toMatch(/it is damaged: move it away/);
    truncateSync(outbox.file, 5000);
    expect(await whyNotKept(outbox.file)).toMatch(/it is damaged: move it away/);
  });

  test("a place where none can be made", async () => {
    const folder = temporaryFolder();
    writeFileSync(`${folder}/file`, "");
    const places = [`${folder}/file/outbox.db`, "/proc/outbox/outbox.db", "/proc/outbox.db"];
    for (const place of places) {
      const why = await whyNotKept(place);
      expect(why).toMatch(
        /^no bus answers at .*ECONNREFUSED.*; and no draft could be kept: the outbox .* can't be used/,
      );
      expect(why).toMatch(/see that this user may write to it and its folder, or name another file/);
    }
    mkdirSync(`${folder}/folder`);
    expect(await whyNotKept(`${folder}/folder`)).toMatch(/can't be used/);
  });

  test("also while the bus is there: it can't be seen whether the Send would overtake a draft", async () => {
    const [bus, outbox] = [await startBus(), newOutbox(`${temporaryFolder()}/outbox.db`)];
    writeFileSync(outbox.file, "garbage".repeat(1000));
    await expect(outbox.sender(over(bus)).send(letter())).rejects.toThrow(
      /^nothing was sent, because earlier drafts may wait/,
    );
    expect(await subjects(bus, "jack")).toEqual([]);
  });

  test("one that another process holds for too long", async () => {
    const outbox = newOutbox(`${temporaryFolder()}/outbox.db`);
    await keep(outbox, letter());
    const holder = new Database(outbox.file);
    holder.exec("begin immediate");
    const impatient = new Drafts(outbox.file, 100);
    expect(() => impatient.drop(1)).toThrow(/database is locked; another process holds it: end that one, or try again/);
    impatient.close();
    holder.close();
    expect(await outbox.sender(away).send(letter())).toMatchObject({ status: "queued", waiting: 2 });
  });

  test.skipIf(!CAN_MOUNT)("one on a full disk; what it holds is sent all the same, once", async () => {
    const bus = await startBus();
    const disk = smallDisk(1024 * 1024);
    const outbox = newOutbox(`${disk.folder}/outbox.db`);
    const all = [letter(), letter()];
    await keep(outbox, ...all);
    disk.fill();
    expect(await whyNotKept(outbox.file)).toMatch(/no draft could be kept: .*make room on its disk/);
    const sender = outbox.sender(over(bus));
    await expect(sender.replay("joe")).rejects.toThrow(/make room on its disk/);
    disk.free();
    expect(await sender.replay("joe")).toMatchObject({ sent: 2, waiting: 0 });
    expect(await subjects(bus, "jack")).toEqual(all.map(({ subject }) => subject));
  });
});
