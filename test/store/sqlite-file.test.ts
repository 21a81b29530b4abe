/** What the SQLite engine promises about its file: how it is opened, by whom, and which files it refuses. */
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { openStore, parseStoreUrl } from "#dist/store/open-store.js";
import { openForReading, openForWriting } from "#dist/store/sqlite/open-database.js";
import { temporaryFolder } from "../start-bus.ts";
import { openFreshSqlite, openSqlite } from "./open-sqlite.ts";
import { runElsewhere } from "./run-elsewhere.ts";
import { begin, bodies, NOON, newMessage, storeOptions } from "./store-under-test.ts";

const DIST = new URL("../../dist/store/", import.meta.url);
const MIGRATIONS = readdirSync(new URL("sqlite/migrations/", DIST)).filter((name) => name.endsWith(".sql"));
const options = storeOptions({ clock: () => NOON });

/** A connection of somebody else, closed when the test ends. */
function connect(file: string, readonly = false): Database.Database {
  const db = new Database(file, { readonly });
  onTestFinished(() => {
    db.close();
  });
  return db;
}

/** A path where nothing is yet. */
function newFile(): string {
  return `${temporaryFolder()}/bus.db`;
}

/** A database that was closed with one message in it. */
async function usedFile(): Promise<string> {
  const file = newFile();
  const store = await openStore(`sqlite:${file}`, options);
  await store.send([newMessage({ body: "kept" })]);
  await store.close();
  return file;
}

describe("the SQLite file", () => {
  test("is in WAL mode", async () => {
    const file = newFile();
    const { store } = await openSqlite(file, { clock: () => NOON });
    onTestFinished(() => store.close());
    expect(connect(file, true).pragma("journal_mode", { simple: true })).toBe("wal");
  });

  test("is opened with synchronous=FULL and foreign keys by every connection", async () => {
    const file = await usedFile();
    for (const open of [openForWriting, openForReading]) {
      const db = open(file);
      onTestFinished(() => {
        db.close();
      });
      expect(db.pragma("synchronous", { simple: true })).toBe(2);
      expect(db.pragma("foreign_keys", { simple: true })).toBe(1);
    }
    const sources = readdirSync(DIST, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".js"));
    const opening = sources.filter((name) => /new Database\(/.test(readFileSync(new URL(name, DIST), "utf8")));
    expect(opening.sort()).toEqual(["sqlite/hold-alone.js", "sqlite/open-database.js"]);
  });

  test("is made together with its folder, which is for its owner only", async () => {
    const folder = temporaryFolder();
    const store = await openStore(`sqlite:${folder}/data/bus.db`, options);
    onTestFinished(() => store.close());
    await store.send([newMessage()]);
    expect(statSync(`${folder}/data`).mode & 0o777).toBe(0o700);
  });

  test.for(["missing/folders/bus.db", "/proc/missing/bus.db"])(
    "is not made in folders that are not there: %s",
    async (path) => {
      const folder = temporaryFolder();
      await expect(openStore(`sqlite:${path.startsWith("/") ? path : `${folder}/${path}`}`, options)).rejects.toThrow(
        /can't make the folder .*missing.*; make it, or name another with --store/,
      );
      expect(readdirSync(folder)).toEqual([]);
    },
  );

  test("is not written by a look", async () => {
    const file = newFile();
    // Who was seen is written by a slow timer: it stands still here.
    vi.useFakeTimers({ toFake: ["setInterval"] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const mail = await begin((opening) => openSqlite(file, opening));
    await mail.post("jack", "1");
    await mail.look("jack");
    const db = connect(file, true);
    const version = () => db.pragma("data_version", { simple: true });
    const before = version();
    for (let i = 0; i < 50; i++) await mail.look("jack");
    await mail.read("ann").catch(() => undefined);
    const registered = version();
    expect(registered).not.toBe(before);
    for (let i = 0; i < 50; i++) await mail.read("ann", { requestId: `${i}` });
    expect(version()).toBe(registered);
    await mail.read("jack");
    expect(version()).not.toBe(registered);
  });

  test("holds the body of a broadcast once", async () => {
    const file = newFile();
    const mail = await begin((opening) => openSqlite(file, opening));
    const agents = Array.from({ length: 300 }, (_, i) => `agent-${i}`);
    await Promise.all(agents.map((agent) => mail.store.registerAgent(agent, undefined)));
    await mail.send({ to: "ALL", body: "x".repeat(200_000) });
    await mail.store.close();
    expect(statSync(file).size).toBeLessThan(1_500_000);
  });

  test("needs no mending after it was left open by a process that was killed", async () => {
    const file = newFile();
    const code = `
      const store = await open(given[0]);
      await store.send([JSON.parse(given[1])]);
      process.kill(process.pid, "SIGKILL");`;
    const message = JSON.stringify(newMessage({ body: "answered" }));
    await expect(runElsewhere(code, file, message)).rejects.toMatchObject({ signal: "SIGKILL" });
    const mail = await begin((opening) => openSqlite(file, opening));
    expect(bodies(await mail.look("jack"))).toEqual(["answered"]);
  });
});

describe("the schema", () => {
  test("has the number of the last migration", async () => {
    const db = connect(await usedFile(), true);
    expect(MIGRATIONS.length).toBeGreaterThan(0);
    expect(db.pragma("user_version", { simple: true })).toBe(MIGRATIONS.length);
    expect(db.pragma("integrity_check", { simple: true })).toBe("ok");
    expect(db.pragma("foreign_key_check")).toEqual([]);
  });

  test("of a newer agentbus is refused, clearly, and left unchanged", async () => {
    const file = await usedFile();
    const newer = connect(file);
    newer.pragma(`user_version = ${MIGRATIONS.length + 1}`);
    newer.close();
    const before = readFileSync(file);
    await expect(openStore(`sqlite:${file}`, options)).rejects.toThrow(
      new RegExp(`${file} has schema version ${MIGRATIONS.length + 1}, this agentbus knows only ${MIGRATIONS.length}`),
    );
    expect(readFileSync(file).equals(before)).toBe(true);

    // The refusal let go of the file.
    const mended = connect(file);
    mended.pragma(`user_version = ${MIGRATIONS.length}`);
    mended.close();
    const mail = await begin((opening) => openSqlite(file, opening));
    expect(bodies(await mail.look("jack"))).toEqual(["kept"]);
  });

  test.for(MIGRATIONS.map((_, i) => i + 1))(
    "of version %i is brought up to date with all its mail",
    async (version) => {
      const file = newFile();
      const old = connect(file);
      old.pragma("journal_mode = wal");
      for (const name of MIGRATIONS.sort().slice(0, version)) {
        old.exec(readFileSync(new URL(`sqlite/migrations/${name}`, DIST), "utf8"));
      }
      old.pragma(`application_id = ${0x41427573}`);
      old.pragma(`user_version = ${version}`);
      old.exec(`
      insert into agents (id, name, registered_at) values (1, 'joe', ${NOON}), (2, 'jack', ${NOON});
      insert into messages (seq, id, sender, recipient, subject, body, at, hops)
        values (1, 'one', 1, 2, '', 'read', ${NOON}, 0), (2, 'two', 1, 2, '', 'unread', ${NOON}, 0);
      insert into deliveries (message, inbox, state, read_at) values (1, 2, 3, ${NOON}), (2, 2, 1, null);
      insert into request_keys (sender, request_id, content_hash, message_id, at, recipient_count)
        values (1, 'k', x'00', 'one', ${NOON}, 1);`);
      old.close();
      const mail = await begin((opening) => openSqlite(file, opening));
      expect(bodies(await mail.look("jack"))).toEqual(["unread"]);
      expect(await mail.state("jack", "one")).toBe("READ");
      expect((await mail.refusal({ requestId: "k" })).reason).toBe("REQUEST_ID_REUSED");
      await mail.post("jack", "new");
      expect(bodies(await mail.read("jack"))).toEqual(["unread", "new"]);
      await mail.store.close();
      expect(connect(file, true).pragma("user_version", { simple: true })).toBe(MIGRATIONS.length);
    },
  );

  const foreign: [string, (file: string) => void][] = [
    ["another program's database", (file) => database(file, "create table t (x); insert into t values (1)")],
    ["another program's WAL database", (file) => database(file, "pragma journal_mode = wal; create table t (x)")],
    ["an empty database with another program's mark", (file) => database(file, "pragma application_id = 7")],
    ["a text file", (file) => writeFileSync(file, "not a database at all\n".repeat(100))],
  ];
  test.for(foreign)("is not laid over %s: that is refused and left unchanged", async ([, make]) => {
    const file = newFile();
    make(file);
    const before = readFileSync(file);
    await expect(openStore(`sqlite:${file}`, options)).rejects.toThrow(/not a database/);
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test("is laid into a file that is empty", async () => {
    const file = newFile();
    writeFileSync(file, "");
    const mail = await begin((opening) => openSqlite(file, opening));
    await mail.post("jack", "1");
    expect(bodies(await mail.look("jack"))).toEqual(["1"]);
  });

  function database(file: string, sql: string): void {
    const db = connect(file);
    db.exec(sql);
    db.close();
  }
});

describe("a second bus on the same file", () => {
  test("is refused, and the first goes on", async () => {
    const file = newFile();
    const mail = await begin((opening) => openSqlite(file, opening));
    await mail.post("jack", "1");
    await expect(openStore(`sqlite:${file}`, options)).rejects.toThrow(`${file} is served by another agentbus process`);
    await mail.post("jack", "2");
    expect(bodies(await mail.look("jack"))).toEqual(["1", "2"]);
  });

  test("is refused in another process too", async () => {
    const file = newFile();
    await begin((opening) => openSqlite(file, opening));
    await expect(runElsewhere("await open(given[0])", file)).rejects.toMatchObject({
      stderr: expect.stringContaining(`${file} is served by another agentbus process`),
    });
  });

  test("is refused when it comes by a symbolic link", async () => {
    const file = await usedFile();
    await begin((opening) => openSqlite(file, opening));
    const folder = temporaryFolder();
    symlinkSync(file, `${folder}/link.db`);
    symlinkSync(dirname(file), `${folder}/folder`);
    for (const other of [`${folder}/link.db`, `${folder}/folder/bus.db`]) {
      await expect(openStore(`sqlite:${other}`, options)).rejects.toThrow("is served by another agentbus process");
    }
  });

  test("is welcome once the first has closed it", async () => {
    const file = newFile();
    const first = await begin((opening) => openSqlite(file, opening));
    await first.post("jack", "1");
    await first.store.close();
    const second = await begin((opening) => openSqlite(file, opening));
    expect(bodies(await second.look("jack"))).toEqual(["1"]);
  });

  test("on another file is nobody's concern", async () => {
    const [one, other] = [await begin(openFreshSqlite), await begin(openFreshSqlite)];
    await one.post("jack", "1");
    expect(bodies(await other.look("jack"))).toEqual([]);
  });
});

describe("the store's URL", () => {
  const good: [string, string][] = [
    ["sqlite:./data/agentbus.db", "./data/agentbus.db"],
    ["sqlite:bus.db", "bus.db"],
    ["sqlite:/var/lib/bus.db", "/var/lib/bus.db"],
    ["sqlite:///var/lib/bus.db", "/var/lib/bus.db"],
    ["sqlite:with space & ü.db", "with space & ü.db"],
  ];
  test.for(good)("%s is the file %s", ([url, path]) => {
    expect(parseStoreUrl(url)).toEqual({ engine: "sqlite", path });
  });

  test.for([
    "",
    "sqlite",
    "sqlite:",
    "sqlite::memory:",
    "./bus.db",
    "/bus.db",
    "postgres://host/db",
    "SQLITE",
    "file:bus.db",
  ])('"%s" is refused with what is allowed', async (url) => {
    const advice = `--store must be sqlite:PATH, such as sqlite:./data/agentbus.db, not "${url}"`;
    expect(() => parseStoreUrl(url)).toThrow(advice);
    await expect(openStore(url, options)).rejects.toThrow(advice);
  });

  test("of something that can't be a database is refused with its path", async () => {
    const folder = temporaryFolder();
    mkdirSync(`${folder}/folder.db`);
    writeFileSync(`${folder}/file`, "");
    for (const path of [`${folder}/folder.db`, `${folder}/file/bus.db`]) {
      await expect(openStore(`sqlite:${path}`, options)).rejects.toThrow(folder);
    }
  });
});
