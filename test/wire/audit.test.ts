/** Every administrative act leaves one line that a program can read: who did what to whom, and when; never a token. */
import { expect, test } from "vitest";
import { cli } from "../cli/run-cli.ts";
import { type BusProcess, spawnBus } from "../start-bus.ts";
import { tokenOf, toldTo } from "./bus-tokens.ts";

/** For what comes in a moment, also on a busy machine. */
const PATIENT = { timeout: 10_000 };

const RECENT = expect.stringMatching(/^20\d\d-\d\d-\d\dT[\d:.]+Z$/);

/** Lines of a log that tell an act. */
function actsIn(log: string): object[] {
  const lines = log.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line)).filter((line) => "audit" in line);
}

async function expectActs(bus: BusProcess, acts: readonly object[]): Promise<void> {
  await expect
    .poll(() => actsIn(bus.log()), PATIENT)
    .toEqual(acts.map((act) => expect.objectContaining({ level: 30, time: RECENT, msg: expect.any(String), ...act })));
}

test("RemoveAgent and redriving for others are logged with who did it to whom; what was refused or one's own is not", async () => {
  const bus = await spawnBus({ token: "shared-token" });
  const { "x-bus-token": admin } = tokenOf(bus, undefined);
  const { "x-bus-token": jack } = tokenOf(bus, "jack");
  await bus.ok("RegisterAgent", { agent: "jill" });
  await bus.ok("Send", { from: "jack", to: "jill", body: "unread" });
  expect(await toldTo(bus, jack, "RemoveAgent", { agent: "jill", force: true })).toBe("403 ADMIN_ONLY");
  expect(await toldTo(bus, jack, "RedriveDeadLetters", { agent: "jill" })).toBe("403 NOT_YOUR_INBOX");
  expect(await toldTo(bus, admin, "RemoveAgent", { agent: "jill" })).toBe("400 INBOX_NOT_EMPTY");
  expect(await toldTo(bus, jack, "RedriveDeadLetters", { agent: "jack" })).toBe("200");
  expect(await toldTo(bus, admin, "RemoveAgent", { agent: "jill", force: true })).toBe("200");
  expect(await toldTo(bus, admin, "RedriveDeadLetters", { agent: "jill" })).toBe("200");
  expect(await toldTo(bus, "shared-token", "RemoveAgent", { agent: "jack", force: true })).toBe("200");
  const byAdmin = { kind: "admin", tokenId: expect.stringMatching(/^[0-9a-f]{8}$/) };
  await expectActs(bus, [
    { audit: "RemoveAgent", by: byAdmin, agent: "jill", force: true, deadCount: 1 },
    { audit: "RedriveDeadLetters", by: byAdmin, agent: "jill", redrivenCount: 1 },
    { audit: "RemoveAgent", by: { kind: "anyone" }, agent: "jack", force: true, deadCount: 1 },
  ]);
  for (const token of [admin, jack, "shared-token"]) expect(bus.log()).not.toContain(token);
});

test("making and revoking a token is told on the command's stderr, with the user of this host, and without the token", async () => {
  const bus = await spawnBus();
  const run = (...words: string[]) => cli(["token", ...words, "--store", `sqlite:${bus.folder}/bus.db`]);
  const by = { kind: "host", user: expect.stringMatching(/\S/) };
  const told = (act: object) => [
    expect.objectContaining({ level: 30, time: RECENT, by, msg: expect.any(String), ...act }),
  ];
  const whose = [
    { flags: ["--agent", "Jack"], agent: "jack" },
    { flags: ["--admin"], agent: null },
    { flags: ["--admin", "--json"], agent: null },
  ];
  for (const { flags, agent } of whose) {
    const made = await run("create", ...flags);
    const [token = ""] = /agentbus_[\w-]{43}/.exec(made.stdout) ?? [];
    expect([made.code, token], made.stderr).toEqual([0, expect.stringMatching(/./)]);
    const [act] = actsIn(made.stderr) as { tokenId: string }[];
    expect([act]).toEqual(told({ audit: "TokenCreate", agent, tokenId: expect.stringMatching(/^[0-9a-f]{8}$/) }));
    const id = act?.tokenId ?? "";
    const revoked = await run("revoke", id, ...flags.filter((flag) => flag === "--json"));
    expect(actsIn(revoked.stderr)).toEqual(told({ audit: "TokenRevoke", agent, tokenId: id }));
    // The id names this token: it is that one which is refused now.
    expect(await toldTo(bus, token)).toBe("401 TOKEN_INVALID");
    for (const { stderr } of [made, revoked]) {
      expect(stderr).toMatch(/^[^\n]+\n$/);
      expect(stderr).not.toContain("agentbus_");
    }
  }
  const none = await run("revoke", "00000000");
  expect([none.code, actsIn(none.stderr)]).toEqual([1, []]);
});
