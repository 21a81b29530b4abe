/** What `import "agentbus"` costs the program that says it. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { startBus, temporaryFolder } from "../start-bus.ts";

const ENTRY = new URL("../../dist/client/index.js", import.meta.url).href;

/** Runs a program to its own end; what it wrote on stdout. */
async function run(program: string, env: Record<string, string>): Promise<string> {
  const text = `import { BusClient } from ${JSON.stringify(ENTRY)};
    import { createRequire } from "node:module";
    const loaded = () => Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes("better-sqlite3"));
    ${program}`;
  const variables = { ...process.env, AGENTBUS_AGENT: "joe", ...env };
  const words = ["--input-type=module", "--eval", text];
  return (await promisify(execFile)(process.execPath, words, { env: variables, timeout: 20_000 })).stdout;
}

describe("the package", () => {
  test("loads no database until a message is kept, though the outbox is on", async () => {
    const bus = await startBus();
    const env = { AGENTBUS_URL: bus.url, AGENTBUS_OUTBOX: `${temporaryFolder()}/outbox.db` };
    const program = `const { status } = await new BusClient().send({ to: "jack", body: "x" });
      console.log(status, loaded());`;
    expect(await run(program, env)).toBe("sent false\n");
    expect(await run(program, { ...env, AGENTBUS_URL: "http://127.0.0.1:1" })).toBe("queued true\n");
  });

  test("keeps no program alive that has nothing more to do, though it closes nothing, with drafts or without", async () => {
    const bus = await startBus();
    const outbox = `${temporaryFolder()}/outbox.db`;
    const env = { AGENTBUS_URL: bus.url, AGENTBUS_OUTBOX: outbox };
    const program = `const bus = new BusClient();
      for (const to of ["jack", "kim"]) await bus.send({ to, body: "x" });
      await bus.inbox("joe", { once: true }).next();
      process.on("exit", () => console.log("ended"));`;
    expect(await run(program, env)).toBe("ended\n");
    const away = `const bus = new BusClient();
      for (const to of ["jack", "kim"]) console.log((await bus.send({ to, body: "x" })).status);`;
    expect(await run(away, { ...env, AGENTBUS_URL: "http://127.0.0.1:1" })).toBe("queued\nqueued\n");
  });
});
