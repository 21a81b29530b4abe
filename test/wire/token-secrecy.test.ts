/** A token is told once, to whoever made it: it can be found neither in what the bus keeps nor in what it logs. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { spawnBus } from "../start-bus.ts";
import { tokenCommand, toldTo } from "./bus-tokens.ts";

test("a token stands nowhere in the store's files, nor in any log or list, nor does the shared one", async () => {
  const shared = "the-shared-token-of-this-bus";
  const bus = await spawnBus({ token: shared, logLevel: "trace" });
  const jack = await tokenCommand(bus, "create", "--agent", "jack");
  const admin = await tokenCommand(bus, "create", "--admin");
  const wrong = "a-wrong-token-which-may-be-right-elsewhere";
  for (const token of [shared, jack.token, admin.token, wrong]) await toldTo(bus, token, "Sned");
  for (const token of [shared, jack.token, admin.token, wrong]) await toldTo(bus, token);
  await toldTo(bus, admin.token, "RemoveAgent", { agent: "jack" });
  const listed = JSON.stringify(await tokenCommand(bus, "list"));
  expect(listed).toContain(jack.id);
  const held = () =>
    readdirSync(bus.folder).map((name) => [name, readFileSync(`${bus.folder}/${name}`).toString("latin1")] as const);
  const whileServing = held();
  expect(whileServing.map(([name]) => name)).toEqual(expect.arrayContaining(["bus.db", "bus.db-wal"]));
  expect(whileServing.some(([, bytes]) => bytes.includes(jack.id))).toBe(true);
  await bus.stop();
  expect(bus.log()).toContain('"audit":"RemoveAgent"');
  for (const [what, text] of [...whileServing, ...held(), ["the log", bus.log()] as const, ["list", listed] as const]) {
    for (const token of [shared, jack.token, admin.token, wrong]) {
      // Without the prefix, which says nothing.
      for (const form of [token.replace("agentbus_", ""), Buffer.from(token).toString("base64url").slice(4, -4)]) {
        expect(text.includes(form), `${form} in ${what}`).toBe(false);
      }
    }
  }
});
