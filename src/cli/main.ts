#!/usr/bin/env node
/**
 * The bin: looks at Node's version before anything else is loaded, because the database driver ends an old Node by a
 * segmentation fault. It must not import statically, nor use syntax that an old Node can't parse.
 */
const oldest = "22.12.0";
const running = process.versions.node;

if (running.localeCompare(oldest, "en", { numeric: true }) < 0) {
  process.stderr.write(
    `agentbus needs Node ${oldest} or newer; this is ${running}. Install a newer one from https://nodejs.org.\n`,
  );
  // A host takes 2 from a hook for "stop this".
  process.exitCode = process.argv.includes("--hook") ? 1 : 2;
} else {
  import("./run-command-line.ts").then(({ runCommandLine }) => runCommandLine(process.argv.slice(2)));
}
