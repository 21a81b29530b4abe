/**
 * Who may import whom, as docs and design draw the house: the domain stands alone, every folder is an adapter of it. Read
 * from the sources as they are written, imports at run time and of types alike.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";

const SRC = new URL("../src", import.meta.url).pathname;

/** Files below src, as "server/answer.ts". */
const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));

/** What one file names in `import … from`, `export … from`, `import "…"`, `import("…")` and `new URL("…", import.meta.url)`. */
function importsIn(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  const forms = [
    /(?:^|[;\n}])\s*(?:import|export)\s(?:[^"'`;]*?\sfrom\s*)?["']([^"']+)["']/g,
    /\bimport\(\s*["'`]([^"'`]+)["'`]/g,
    /\bnew URL\(\s*["'`](\.[^"'`]+)["'`]\s*,\s*import\.meta\.url/g,
  ];
  return forms.flatMap((form) => [...code.matchAll(form)].map(([, name]) => name as string));
}

/** The room of what a file imports: "domain", "store", "server", "client", "cli", "gen", "node:fs" or a package's name. */
function roomOf(file: string, name: string): string {
  if (name.startsWith("#gen/")) return "gen";
  if (!name.startsWith("."))
    return name.startsWith("node:")
      ? name
      : name
          .split("/")
          .slice(0, name.startsWith("@") ? 2 : 1)
          .join("/");
  const path = relative(SRC, join(SRC, dirname(file), name));
  return path.includes("/") ? (path.split("/")[0] as string) : "domain";
}

/** Built-in parts that only compute: no network, no files, no engine, no process. */
const COMPUTING = ["node:crypto", "node:buffer", "node:timers/promises", "node:util"];

interface Room {
  /** Whether a file of src stands in it. */
  readonly has: (file: string) => boolean;
  /** Rooms, built-in parts and packages that it may import; everything if absent. */
  readonly may?: readonly string[];
  readonly mayNot?: RegExp;
  /** Single files of other rooms that it may import. */
  readonly files?: readonly string[];
}

const rooms: Readonly<Record<string, Room>> = {
  "the domain": {
    has: (file) => !file.includes("/"),
    // Two small packages of pure functions: distances of words, ids.
    may: ["domain", ...COMPUTING, "leven", "uuid"],
  },
  "store/": {
    has: (file) => file.startsWith("store/"),
    mayNot:
      /^(gen|server|client|cli|mcp|testing|node:(http|http2|https|net|tls)|@connectrpc\/.*|@bufbuild\/.*|commander|prom-client)$/,
  },
  "server/": {
    has: (file) => file.startsWith("server/"),
    mayNot: /^(store|client|cli|mcp|testing|better-sqlite3|commander)$/,
    files: ["store/open-store.ts"],
  },
  "client/": {
    has: (file) => file.startsWith("client/") && !file.startsWith("client/outbox/"),
    mayNot: /^(domain|store|server|cli|mcp|testing|better-sqlite3|commander)$/,
    // Names and defaults of settings; the closed set of reasons; names and limits.
    files: ["config.ts", "errors.ts", "message.ts"],
  },
  "mcp/": {
    has: (file) => file.startsWith("mcp/"),
    may: ["mcp", "client", "gen", "zod", "@modelcontextprotocol/server", "@bufbuild/protobuf", "node:stream"],
    // Names and limits: one place for each.
    files: ["message.ts"],
  },
  "testing/": {
    has: (file) => file.startsWith("testing/"),
    mayNot: /^(gen|store|cli|mcp|vitest|better-sqlite3|commander)$/,
    // What `serve` mounts.
    files: ["cli/mcp-door.ts"],
  },
  // The one part of a client that keeps something.
  "client/outbox/": {
    has: (file) => file.startsWith("client/outbox/"),
    mayNot: /^(domain|store|server|cli|mcp|testing|commander)$/,
    files: ["message.ts", "node-version.ts"],
  },
};

function offences(room: Room, file: string, source: string): string[] {
  return importsIn(source)
    .filter((name) => !room.files?.includes(relative(SRC, join(SRC, dirname(file), name)).replace(/\.js$/, ".ts")))
    .filter((name) => {
      const target = roomOf(file, name);
      return room.may === undefined ? room.mayNot?.test(target) : !room.may.includes(target);
    })
    .map((name) => `${file} imports ${name}`);
}

describe("imports", () => {
  for (const [name, room] of Object.entries(rooms)) {
    test(`of ${name} keep to what it may know`, () => {
      const own = files.filter(room.has);
      expect(own.flatMap((file) => offences(room, file, readFileSync(join(SRC, file), "utf8")))).toEqual([]);
    });
  }

  test("of a store's engine come only from its own folder and from store/", () => {
    const engines = files.filter((file) => !file.startsWith("store/"));
    const named = engines.flatMap((file) =>
      importsIn(readFileSync(join(SRC, file), "utf8"))
        .map((name) => relative(SRC, join(SRC, dirname(file), name)))
        .filter((path) => /^store\/[^/]+\//.test(path))
        .map((path) => `${file} imports ${path}`),
    );
    expect(named).toEqual([]);
  });

  test("are all found, however they are written", () => {
    const source = `
      import { a, type B } from "./one.ts";
      import type { C } from '../two.ts';
      import {
        d,
        e,
      } from "./three.ts";
      import "./four.ts";
      import * as f from "node:net"; import g from "./five.ts";
      export { h } from "./six.ts";
      export * from "./seven.ts";
      const i = await import("./eight.ts");
      type J = import("./nine.ts").J;
      new Worker(new URL("./ten.js", import.meta.url));
      // import k from "./never.ts";
      /* import l from "./never.ts"; */
      const words = "what is important comes from 'here'";`;
    expect(importsIn(source).sort()).toEqual(
      [
        "./one.ts",
        "../two.ts",
        "./three.ts",
        "./four.ts",
        "node:net",
        "./five.ts",
        "./six.ts",
        "./seven.ts",
        "./eight.ts",
        "./nine.ts",
        "./ten.js",
      ].sort(),
    );
  });

  test("that are forbidden are found in every room", () => {
    const forbidden: readonly [room: string, file: string, name: string][] = [
      ["the domain", "bus.ts", "./server/answer.ts"],
      ["the domain", "bus.ts", "./store/open-store.ts"],
      ["the domain", "bus.ts", "#gen/agentbus/v1/message_pb.js"],
      ["the domain", "bus.ts", "node:http"],
      ["the domain", "bus.ts", "node:sqlite"],
      ["the domain", "bus.ts", "node:fs"],
      ["the domain", "bus.ts", "better-sqlite3"],
      ["the domain", "bus.ts", "@connectrpc/connect"],
      ["the domain", "bus.ts", "prom-client"],
      ["store/", "store/sqlite/send.ts", "#gen/agentbus/v1/message_pb.js"],
      ["store/", "store/sqlite/send.ts", "../../server/wire.ts"],
      ["store/", "store/open-store.ts", "node:http"],
      ["store/", "store/sqlite/sqlite-store.ts", "prom-client"],
      ["server/", "server/rpc.ts", "../store/sqlite/sqlite-store.ts"],
      ["server/", "server/rpc.ts", "../cli/main.ts"],
      ["client/", "client/connect-bus.ts", "../server/error-codes.ts"],
      ["client/", "client/connect-bus.ts", "../store/open-store.ts"],
      ["client/", "client/connect-bus.ts", "../bus.ts"],
      ["client/", "client/bus-client.ts", "../mcp/tool.ts"],
      ["server/", "server/http-door.ts", "../mcp/http.ts"],
      ["mcp/", "mcp/reading.ts", "../config.ts"],
      ["mcp/", "mcp/http.ts", "../server/mounted-door.ts"],
      ["mcp/", "mcp/stdio.ts", "../cli/write-output.ts"],
      ["mcp/", "mcp/stdio.ts", "node:fs"],
      ["client/", "client/connect-bus.ts", "../testing/start-test-bus.ts"],
      ["mcp/", "mcp/mail.ts", "../server/rpc.ts"],
      ["mcp/", "mcp/mail.ts", "../bus.ts"],
      ["testing/", "testing/start-test-bus.ts", "../store/open-store.ts"],
      ["testing/", "testing/start-test-bus.ts", "vitest"],
      ["client/", "client/connect-bus.ts", "better-sqlite3"],
      ["client/outbox/", "client/outbox/drafts.ts", "../../store/open-store.ts"],
      ["client/outbox/", "client/outbox/drafts.ts", "../../bus.ts"],
    ];
    for (const [name, file, imported] of forbidden) {
      expect(offences(rooms[name] as Room, file, `import "${imported}";`), `${file} ${imported}`).toHaveLength(1);
    }
    const allowed: readonly [room: string, file: string, name: string][] = [
      ["the domain", "bus.ts", "./errors.ts"],
      ["the domain", "bus.ts", "node:crypto"],
      ["store/", "store/sqlite/send.ts", "../../errors.ts"],
      ["store/", "store/sqlite/send.ts", "../group-commit.ts"],
      ["server/", "server/start-server.ts", "../store/open-store.ts"],
      ["server/", "server/rpc.ts", "#gen/agentbus/v1/message_pb.js"],
      ["client/", "client/connect-bus.ts", "#gen/agentbus/v1/message_pb.js"],
      ["client/", "client/bus-client.ts", "../config.ts"],
      ["client/", "client/is-bounce.ts", "../message.ts"],
      ["client/outbox/", "client/outbox/drafts.ts", "../../message.ts"],
      ["client/outbox/", "client/outbox/open-outbox.ts", "better-sqlite3"],
    ];
    for (const [name, file, imported] of allowed) {
      expect(offences(rooms[name] as Room, file, `import "${imported}";`), `${file} ${imported}`).toEqual([]);
    }
  });

  test("make no file of src stand outside the rooms", () => {
    const known = (file: string) => Object.values(rooms).some((room) => room.has(file)) || file.startsWith("cli/");
    expect(files.length).toBeGreaterThan(30);
    expect(files.filter((file) => !known(file))).toEqual([]);
  });
});
