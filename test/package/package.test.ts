/**
 * The package as a stranger has it: packed, installed into an empty project from the tarball alone, and used by its
 * command, its entry points, its types and its .proto.
 */
import { execFile, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";

const execute = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CONSUMER = fileURLToPath(new URL("./consumer/", import.meta.url));
/** All that a package may hold: what runs, its types, the contract, what makes clients of it, and what npm shows. */
const ALLOWED =
  /^(dist\/.+\.(js|d\.ts|sql)|gen\/.+\.(js|d\.ts|json)|(proto|third_party)\/.+\.proto|examples\/clients\/[^/]+\/(buf\.gen\.yaml|pom\.xml|build\.rs|Cargo\.toml)|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/;
const MAX_PACKED_BYTES = 400_000;

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}

const folder = mkdtempSync(join(tmpdir(), "agentbus-stranger-"));
const project = join(folder, "project");
/** Where its programs put what is for a while. */
const temporary = join(folder, "tmp");
let packed: Packed;

/** As a stranger's shell would: nothing of this repository on the path, no setting of the bus nor of the npm that runs this. */
function run(command: string, ...words: string[]): Promise<{ stdout: string; stderr: string }> {
  return execute(command, words, { cwd: project, env: environment(), maxBuffer: 1e8 });
}

function environment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(AGENTBUS|VITEST|NODE_(?!EXTRA_CA)|npm_(?!config_registry))/.test(name),
  );
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((part) => !part.includes("node_modules"));
  return { ...Object.fromEntries(own), PATH: path.join(delimiter), TMPDIR: temporary };
}

beforeAll(async () => {
  const { stdout } = await execute("npm", ["pack", "--json", "--silent", "--pack-destination", folder], { cwd: ROOT });
  [packed] = JSON.parse(stdout) as [Packed];
  mkdirSync(project);
  mkdirSync(temporary);
  writeFileSync(join(project, "package.json"), '{"private":true,"type":"module"}');
  for (const file of readdirSync(CONSUMER)) copyFileSync(join(CONSUMER, file), join(project, file));
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const tools = ["node", "typescript", "@types/node"].map((name) => `${name}@${devDependencies[name]}`);
  await run("npm", "install", "--no-audit", "--no-fund", "--prefer-offline", join(folder, packed.filename), ...tools);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the tarball", () => {
  test("holds what it needs and nothing else", () => {
    const paths = packed.files.map(({ path }) => path);
    expect(paths.filter((path) => !ALLOWED.test(path))).toEqual([]);
    for (const needed of ["README.md", "LICENSE", "CHANGELOG.md", "proto/agentbus/v1/message_bus.proto"]) {
      expect(paths).toContain(needed);
    }
    expect(packed.size).toBeLessThan(MAX_PACKED_BYTES);
  });

  test("names no folder of the machine it was made on, and no file that it lacks", () => {
    const installed = join(project, "node_modules", "agentbus");
    const texts = packed.files.map(({ path }) => [path, readFileSync(join(installed, path), "utf8")] as const);
    expect(texts.filter(([, text]) => text.includes(ROOT) || text.includes("sourceMappingURL"))).toEqual([]);
  });

  test("installs without a script of its own or of what it depends on", () => {
    const lock = JSON.parse(readFileSync(join(project, "package-lock.json"), "utf8"));
    const scripted = Object.entries<{ hasInstallScript?: boolean }>(lock.packages)
      .filter(([, { hasInstallScript }]) => hasInstallScript)
      .map(([path]) => path);
    // The Node that this test brings along, for a machine whose own is older.
    expect(scripted).toEqual(["node_modules/node"]);
  });
});

describe("a stranger", () => {
  test("sees the commands by npx agentbus --help", async () => {
    const { stdout } = await run("npx", "agentbus", "--help");
    for (const command of ["serve", "send", "inbox", "token"])
      expect(stdout).toMatch(new RegExp(`^ +${command} `, "m"));
  });

  test("serves by npx agentbus serve, and sends and reads with curl", async () => {
    const port = String(await freePort());
    // A group of its own: npx does not pass a signal on to what it started.
    const bus = spawn("npx", ["agentbus", "serve", "--port", port], {
      cwd: project,
      env: environment(),
      detached: true,
    });
    const ended = new Promise<void>((resolve) => bus.once("exit", () => resolve()));
    onTestFinished(async () => {
      if (bus.exitCode === null) process.kill(-(bus.pid as number), "SIGTERM");
      await ended;
    });
    let told = "";
    bus.stdout.on("data", (chunk) => {
      told += chunk;
    });
    bus.stderr.on("data", (chunk) => {
      told += chunk;
    });
    const url = `http://127.0.0.1:${port}`;
    await expect.poll(() => told, { timeout: 30_000 }).toContain(`agentbus listens on ${url}`);
    const mail = { from: "joe", to: "jack", subject: "Task", body: "Handle blog publishing" };
    const json = ["-H", "content-type: application/json", "-d", JSON.stringify(mail)];
    const sent = JSON.parse((await run("curl", "-s", `${url}/api/send`, ...json)).stdout);
    expect(sent).toMatchObject({ recipientCount: 1, deduplicated: false });
    const inbox = () =>
      run("curl", "-s", `${url}/api/inbox/jack?mark_read=true`).then(({ stdout }) => JSON.parse(stdout));
    expect((await inbox()).messages).toEqual([expect.objectContaining({ ...mail, id: sent.id })]);
    expect((await inbox()).messages).toEqual([]);
    const described = JSON.parse((await run("curl", "-s", `${url}/openapi.json`)).stdout);
    expect(described.info.title).toBe("agentbus");
    expect(readdirSync(project)).toContain("data");
  });

  test("imports agentbus, agentbus/gen and agentbus/testing, and nothing that is not meant for him", async () => {
    const node = join(project, "node_modules", ".bin", "node");
    const { stdout } = await run(node, "use-package.js");
    expect(JSON.parse(stdout)).toEqual({
      service: "agentbus.v1.MessageBus",
      pulled: ["Handle blog publishing"],
      refused: "UNKNOWN_MESSAGE",
      limited: "RATE_LIMITED",
      unreachable: true,
      hidden: "ERR_PACKAGE_PATH_NOT_EXPORTED",
      leftBehind: [],
    });
  });

  test("runs the test that docs/testing.md shows", async () => {
    const page = readFileSync(join(ROOT, "docs", "testing.md"), "utf8");
    const [, example = ""] = /^```js\n(.*?)^```$/ms.exec(page) ?? [];
    writeFileSync(join(project, "agent.test.js"), example);
    const { stdout } = await run(
      join(project, "node_modules", ".bin", "node"),
      "--test",
      "--test-reporter=tap",
      "agent.test.js",
    );
    expect(stdout).toMatch(/^# pass 1$/m);
  });

  for (const resolution of ["nodenext", "bundler"]) {
    test(`type-checks against it with moduleResolution ${resolution}, declarations of all packages included`, async () => {
      const { stdout } = await run(join("node_modules", ".bin", "tsc"), "-p", `tsconfig.${resolution}.json`).catch(
        (error: { stdout: string }) => error,
      );
      expect(stdout).toBe("");
    });
  }

  test("generates a client of his own from node_modules/agentbus/proto", async () => {
    const plugins = join(ROOT, "node_modules", ".bin");
    const template = JSON.stringify({
      version: "v2",
      plugins: [{ local: join(plugins, "protoc-gen-es"), out: "own" }],
    });
    await run(join(plugins, "buf"), "generate", "node_modules/agentbus/proto", "--template", template);
    expect(readdirSync(join(project, "own", "agentbus", "v1"))).toContain("message_bus_pb.js");
  });
});

/** Free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
