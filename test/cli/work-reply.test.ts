/** `agentbus work --reply`: what COMMAND prints is the one answer to its message, whatever dies when. */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { spawnBus, startBus, type TestBus, temporaryFolder } from "../start-bus.ts";
import { MAIN, newName, sharedBus, until } from "./run-cli.ts";
import { deliveryOf, startWorker } from "./worker.ts";

const shared = sharedBus();

/** Two agents that only one test knows, and a question of the first to the second. */
async function question(bus: TestBus = shared(), body = "Which port?") {
  const [asker, oracle] = [newName("joe"), newName("oracle")];
  const { id } = await bus.ok("Send", { from: asker, to: oracle, subject: "Port", body });
  const replies = async () => (await bus.ok("PullInbox", { agent: asker })).messages;
  return { bus, asker, oracle, id, replies };
}

const answerOnce = (bus: TestBus, oracle: string, shell: string) =>
  startWorker(bus, oracle, ["--once", "--reply"], shell).ended();

describe("--reply", () => {
  test("sends what COMMAND printed, byte for byte, to the sender, and then acknowledges", async () => {
    const { bus, asker, oracle, id, replies } = await question();
    const ended = await answerOnce(bus, oracle, "cat; printf '\\n8091 — \"ja\"\\n\\n'");
    const [reply, ...more] = await replies();
    expect(more).toEqual([]);
    const expected = {
      from: oracle,
      to: asker,
      subject: "Re: Port",
      inReplyTo: id,
      body: 'Which port?\n8091 — "ja"\n\n',
    };
    expect(reply).toMatchObject(expected);
    expect(ended).toEqual({
      code: 0,
      stdout: "",
      stderr: expect.stringMatching(`^done ${id} .*; replied with ${reply.id}\n$`),
    });
    expect(await deliveryOf(bus, oracle, id)).toEqual(["READ", 1]);
  });

  test("answers once where a worker died between its reply and its ack, also when COMMAND prints something else", async () => {
    for (const shell of ["echo first", "echo second"]) {
      const { bus, oracle, id, asker, replies } = await question();
      // As far as the first worker came.
      const reply = {
        from: oracle,
        to: asker,
        subject: "Re: Port",
        body: "first\n",
        inReplyTo: id,
        requestId: `reply:${id}`,
      };
      await bus.ok("Send", reply);
      const ended = await answerOnce(bus, oracle, shell);
      expect([ended.code, ended.stderr]).toEqual([0, expect.stringMatching(/; (a|the) reply .*was sent before\n$/)]);
      expect(await deliveryOf(bus, oracle, id)).toEqual(["READ", 1]);
      expect((await replies()).map(({ body }: { body: string }) => body)).toEqual(["first\n"]);
    }
  });

  test("answers once where a worker is killed again and again around its reply", async () => {
    const { bus, oracle, id, replies } = await question();
    // A reply that another process of this agent sends, and a worker that dies before its own.
    const curl = `curl -sS "$AGENTBUS_URL/agentbus.v1.MessageBus/Send" -H "content-type: application/json" -d "{\\"from\\":\\"${oracle}\\",\\"to\\":\\"$AGENTBUS_FROM\\",\\"subject\\":\\"Re: Port\\",\\"body\\":\\"8091\\",\\"inReplyTo\\":\\"${id}\\",\\"requestId\\":\\"reply:${id}\\"}" >/dev/null`;
    for (let n = 0; n < 2; n++) {
      const died = await startWorker(bus, oracle, ["--reply", "--lease", "2"], `${curl}; kill -9 $PPID`).ended();
      expect(died.code).toBe("SIGKILL");
    }
    const worker = startWorker(bus, oracle, ["--reply"], "printf 8091");
    await until("the third", () => worker.stderr().includes("was sent before"), 15_000);
    await until("the ack", async () => (await deliveryOf(bus, oracle, id))[0] === "READ");
    expect(await deliveryOf(bus, oracle, id)).toEqual(["READ", 3]);
    expect(await replies()).toMatchObject([{ body: "8091" }]);
  });

  test("sends nothing where COMMAND printed nothing", async () => {
    const { bus, oracle, id, replies } = await question();
    expect(await answerOnce(bus, oracle, "true")).toMatchObject({ code: 0 });
    expect(await deliveryOf(bus, oracle, id)).toEqual(["READ", 1]);
    expect(await replies()).toEqual([]);
  });

  test("sends nothing where COMMAND failed, whatever it printed", async () => {
    const { bus, oracle, id, replies } = await question();
    expect(await answerOnce(bus, oracle, "echo 80; exit 1")).toMatchObject({ code: 1 });
    expect((await deliveryOf(bus, oracle, id))[0]).not.toBe("READ");
    expect(await replies()).toEqual([]);
  });

  test("counts as failed where what was printed can't be a body: no UTF-8, or too long", async () => {
    const folder = temporaryFolder();
    writeFileSync(`${folder}/bytes`, randomBytes(1000));
    writeFileSync(`${folder}/long`, "x".repeat(262_145));
    writeFileSync(`${folder}/longer`, "x".repeat(3_000_000));
    const complaints = {
      bytes: "not text in UTF-8",
      long: "BODY_TOO_LARGE: ",
      longer: "it printed 3000000 bytes, and a reply has at most 2097152",
    };
    for (const [file, complaint] of Object.entries(complaints)) {
      const { bus, oracle, replies } = await question();
      const ended = await answerOnce(bus, oracle, `cat ${folder}/${file}`);
      expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining(complaint) });
      expect(await replies()).toEqual([]);
    }
  });

  test("does not wait for what COMMAND left behind with its stdout", async () => {
    const { bus, oracle, replies } = await question();
    const began = performance.now();
    expect(await answerOnce(bus, oracle, "echo 8091; sleep 9 2>/dev/null &")).toMatchObject({ code: 0 });
    expect(performance.now() - began).toBeLessThan(8000);
    expect(await replies()).toMatchObject([{ body: "8091\n" }]);
  });

  test("goes out behind what COMMAND sent before it while the bus was away", { timeout: 30_000 }, async () => {
    const bus = await spawnBus();
    const { oracle, asker } = await question(bus);
    const folder = temporaryFolder();
    const waitFor = (file: string) => `until [ -e ${folder}/${file} ]; do sleep 0.05; done`;
    const progress = `"${process.execPath}" "${MAIN}" send ${asker} "half way" -s Progress --as ${oracle}`;
    const shell = `touch ${folder}/begun; ${waitFor("away")}; ${progress}; echo $? > ${folder}/kept; ${waitFor("back")}; echo 8091`;
    const env = { AGENTBUS_OUTBOX: `${folder}/outbox.db` };
    startWorker(bus, oracle, ["--reply"], shell, { env });
    await until("COMMAND to begin", () => existsSync(`${folder}/begun`));
    await bus.kill("SIGKILL");
    writeFileSync(`${folder}/away`, "");
    await until(
      "its message to be kept",
      () => existsSync(`${folder}/kept`) && readFileSync(`${folder}/kept`, "utf8") === "4\n",
    );
    const again = await spawnBus({}, { folder: bus.folder, port: bus.port });
    writeFileSync(`${folder}/back`, "");
    const mail = async () => (await again.ok("PullInbox", { agent: asker })).messages;
    await until("both", async () => (await mail()).length === 2);
    expect(await mail()).toMatchObject([{ body: "half way" }, { body: "8091\n" }]);
  });

  test("waits for a rate limit instead of running COMMAND again", async () => {
    const { bus, oracle, asker, replies } = await question(await startBus({ rateLimit: "1/s" }));
    await bus.ok("RegisterAgent", { agent: asker });
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await bus.ok("Send", { from: asker, to: oracle, subject: "Port", body: "And yours?" });
    const ended = await answerOnce(bus, oracle, 'echo "attempt $AGENTBUS_DELIVERY_ATTEMPT"');
    expect(ended).toMatchObject({ code: 0, stderr: expect.not.stringContaining("failed") });
    expect(await replies()).toMatchObject([{ body: "attempt 1\n" }, { body: "attempt 1\n" }]);
  });

  test("says so when the rate limit lasts", async () => {
    const { bus, oracle, asker } = await question(await startBus({ rateLimit: "1/min" }));
    await bus.ok("Send", { from: oracle, to: asker, subject: "Hello" });
    const worker = startWorker(bus, oracle, ["--reply"], "echo 8091");
    await until("the wait to be told", () => worker.stderr().includes("waits, and is tried again: RATE_LIMITED: "));
  });

  test("stops a loop of replies where the bus does, and the message is done", async () => {
    const bus = await startBus({ maxHops: "1" });
    const { oracle, asker, id } = await question(bus);
    const { id: next } = await bus.ok("Send", {
      from: oracle,
      to: asker,
      subject: "Re: Port",
      body: "?",
      inReplyTo: id,
    });
    const ended = await answerOnce(bus, asker, "echo again");
    expect(ended).toMatchObject({ code: 0, stderr: expect.stringContaining("no reply: TOO_MANY_HOPS") });
    expect(await deliveryOf(bus, asker, next)).toEqual(["READ", 1]);
  });
});
