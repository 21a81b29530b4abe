/**
 * The package's entry point `agentbus/testing`: the real bus, in the process of whoever tests a program that uses it, on a
 * free port and with a database of its own. It must not know a test framework.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mcpDoor } from "../cli/mcp-door.ts";
import { BusClient } from "../client/bus-client.ts";
import { readSettings, type SettingName } from "../config.ts";
import { unfitNode } from "../node-version.ts";
import { createLog } from "../server/log.ts";
import { startServer } from "../server/start-server.ts";

/** Settings of `agentbus serve` as one writes them behind their flags, such as { rateLimit: "2/min", maxAttempts: "1" }. */
export type TestBusFlags = Partial<Record<SettingName, string>>;

export interface TestBus {
  /** Such as http://127.0.0.1:40123. */
  readonly url: string;
  /** A client of its own for an agent, or for nobody, with the bus's shared token if it has one. Closed with the bus. */
  client(agent?: string): BusClient;
  /** Ends it and removes its database. */
  close(): Promise<void>;
  /** As close(): `await using bus = await startTestBus()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * No rate limit and no log unless a flag says otherwise; the environment is not read. With `store` the database stays where
 * it is, for a test that stops a bus and starts it again. Throws an Error that says which flag can't be used.
 */
export async function startTestBus(flags: TestBusFlags = {}): Promise<TestBus> {
  const unfit = unfitNode();
  if (unfit !== undefined) throw new Error(unfit);
  const folder = flags.store === undefined ? await mkdtemp(join(tmpdir(), "agentbus-test-")) : undefined;
  const clear = async () => folder && rm(folder, { recursive: true, force: true });
  try {
    const store = `sqlite:${folder}/bus.db`;
    const settings = readSettings({ port: "0", store, rateLimit: "off", logLevel: "silent", ...flags }, {});
    const log = createLog(settings.logLevel);
    const bus = await startServer(settings, log, { "/mcp": mcpDoor(log) });
    const clients: BusClient[] = [];
    const client = (agent = "") => {
      const made = new BusClient({ urls: bus.url, token: settings.token ?? "", agent });
      clients.push(made);
      return made;
    };
    const close = async () => {
      // Before the bus: what they have under way is still answered.
      await Promise.all(clients.map((each) => each.close()));
      await bus.close();
      await clear();
    };
    return { url: bus.url, client, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await clear();
    throw error;
  }
}
