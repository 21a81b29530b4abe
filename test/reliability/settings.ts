/** How long and with which seed the tests of this folder run: AGENTBUS_RELIABILITY=long, AGENTBUS_SEED=seed[/path]. */

export const IS_LONG = process.env["AGENTBUS_RELIABILITY"] === "long";

/** Ten times as many in a long run. */
export const RUNS = IS_LONG ? 10_000 : 1_000;

const [seed, path] = (process.env["AGENTBUS_SEED"] ?? "").split("/");

/** A new one each time, unless one was named to see a failure again; `path` leads to the very run that failed. */
export const SEED = seed ? Number(seed) : Math.floor(Math.random() * 2 ** 31);
export const PATH = path;
