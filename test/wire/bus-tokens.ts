/** Tokens of a bus under test, made beside it as `agentbus token` does, and all that its database holds. */
import Database from "better-sqlite3";
import { expect } from "vitest";
import { openTokenBook, type TokenBook } from "#dist/store/token-book.js";
import { cli, documentOf } from "../cli/run-cli.ts";
import type { TestBus } from "../start-bus.ts";

type Headers = Record<string, string>;

function withBook<T>({ folder }: Pick<TestBus, "folder">, work: (book: TokenBook) => T): T {
  const book = openTokenBook(`sqlite:${folder}/bus.db`);
  try {
    return work(book);
  } finally {
    book.close();
  }
}

/** The header that a caller brings. `agent` undefined: an admin. */
export function tokenOf(bus: Pick<TestBus, "folder">, agent: string | undefined): Headers & { "x-bus-token": string } {
  return { "x-bus-token": withBook(bus, (book) => book.create(agent)).token };
}

/** What the real command says under --json, on the bus's own host. */
export async function tokenCommand(bus: Pick<TestBus, "folder">, ...words: string[]): Promise<any> {
  const ended = await cli(["token", ...words, "--store", `sqlite:${bus.folder}/bus.db`, "--json"]);
  expect(ended.code, ended.stderr).toBe(0);
  return documentOf(ended);
}

/** "200", or status and reason, as a caller with this token is told. */
export async function toldTo(
  bus: Pick<TestBus, "call">,
  token: string,
  method = "PullInbox",
  request: object = { agent: "jack" },
): Promise<string> {
  const { status, body } = await bus.call(method, request, { "x-bus-token": token });
  return status === 200 ? "200" : `${status} ${body.message.split(":")[0]}`;
}

/** Filled by the bus itself, a moment after a Send: the search index and how far it is. */
const BACKGROUND = /^(message_words|progress)/;

/** Every row of every table, as text: equal before and after what changed nothing. */
export function everyRow({ folder }: Pick<TestBus, "folder">): string[] {
  const db = new Database(`${folder}/bus.db`, { readonly: true });
  try {
    const tables = db.prepare("select name from sqlite_schema where type = 'table' order by name").pluck().all();
    return tables
      .filter((table) => !BACKGROUND.test(String(table)))
      .flatMap((table) =>
        db
          .prepare(`select * from "${table}"`)
          .raw()
          .all()
          .map((row) => `${table} ${JSON.stringify(row)}`)
          .sort(),
      );
  } finally {
    db.close();
  }
}
