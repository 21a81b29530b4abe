/** The whole conformance suite on the SQLite engine. What only SQLite promises is in sqlite-*.test.ts. */
import { testStore } from "./conformance.ts";
import { openFreshSqlite } from "./open-sqlite.ts";

testStore("the SQLite store", openFreshSqlite);
