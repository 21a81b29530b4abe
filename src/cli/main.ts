#!/usr/bin/env node
/**
 * The bin: looks at Node's version before anything else is loaded, because the database driver ends an old Node by a
 * segmentation fault. It must not import statically, nor use syntax that an old Node can't parse.
 */
import("../node-version.ts").then(({ unfitNode }) => {
  const unfit = unfitNode();
  if (unfit === undefined) {
    return import("./run-command-line.ts").then(({ runCommandLine }) => runCommandLine(process.argv.slice(2)));
  }
  process.stderr.write(`${unfit}\n`);
  // A host takes 2 from a hook for "stop this".
  process.exitCode = process.argv.includes("--hook") ? 1 : 2;
  return undefined;
});
