/**
 * Turns a store's URL into an engine. The only file outside an engine's folder that names one.
 */
import { SettingError } from "../config.ts";
import type { Store, StoreOptions } from "../store.ts";
import { openSqliteStore } from "./sqlite/sqlite-store.ts";

/** Where the mail is kept, as `--store` says it. */
export interface StoreLocation {
  readonly engine: "sqlite";
  readonly path: string;
}

/** Reads sqlite:PATH. Throws a SettingError that says what is allowed. */
export function parseStoreUrl(url: string): StoreLocation {
  const [, path = ""] = /^sqlite:(?:\/\/(?=\/))?(.+)$/.exec(url) ?? [];
  if (path === "" || path.startsWith(":memory:")) {
    throw new SettingError(`--store must be sqlite:PATH, such as sqlite:./data/agentbus.db, not "${url}"`);
  }
  return { engine: "sqlite", path };
}

/** What is said of a store that should be there. */
export function noDatabaseAt(path: string): string {
  return `there is no database at ${path}; name the one that the bus serves with --store`;
}

export async function openStore(url: string, options: StoreOptions): Promise<Store> {
  return openSqliteStore(parseStoreUrl(url).path, options);
}
