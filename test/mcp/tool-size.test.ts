/** What the tools cost every host in every session: their descriptions stand in each model's context. */
import { encode } from "gpt-tokenizer";
import { expect, test } from "vitest";
import { sharedBus } from "../cli/run-cli.ts";
import { overHttp } from "./hosts.ts";

const MAX_TOKENS = 1500;
const bus = sharedBus();

test(`tools/list costs less than ${MAX_TOKENS} tokens`, async () => {
  const host = await overHttp(bus(), { agent: "jack" });
  const list = await host.listTools();
  const tokens = encode(JSON.stringify(list)).length;
  const each = list.map((tool) => `${tool.name} ${encode(JSON.stringify(tool)).length}`);
  process.stdout.write(
    `MCP: ${list.length} tools in ${tokens} tokens (${each.join(", ")}); instructions ${encode(host.instructions ?? "").length}\n`,
  );
  expect(tokens).toBeLessThan(MAX_TOKENS);
  expect(tokens).toBeGreaterThan(500); // they are there, with their descriptions
});

test("an inbox costs about what its mail does", async () => {
  const [to, body] = ["reader", "The build of branch main is green again; the flaky test was quarantined. "];
  for (let i = 0; i < 20; i++) await bus().ok("Send", { from: "joe", to, subject: `Build ${i}`, body });
  const { text, data } = await (await overHttp(bus(), { agent: to })).call("check_inbox");
  expect(data.messages).toHaveLength(20);
  const mail = 20 * (encode("Build 10").length + encode(body).length);
  const [asText, asData] = [encode(text).length, encode(JSON.stringify(data)).length];
  process.stdout.write(`MCP: 20 messages of ${mail} tokens: ${asText} as text, ${asData} as data\n`);
  // Ids are a good twenty tokens each; a message has one as data, and two as text.
  expect(asText - mail).toBeLessThan(20 * 120);
  expect(asData - mail).toBeLessThan(20 * 120);
});
