import { defineConfig } from "vitest/config";

// Tests import the built package (#dist/…): its worker threads start only from what ships. `npm test` builds first.
/** Programmes that still find differences of their own making; `npm run test:reliability` runs them. */
const UNDER_WORK = [
  "test/reliability/model.test.ts",
  "test/reliability/zombies.test.ts",
  "test/reliability/clock.test.ts",
  "test/reliability/upgrade*.test.ts",
  "test/reliability/fuzz.test.ts",
  "test/reliability/soak.test.ts",
  "test/reliability/power-loss*.test.ts",
  "test/reliability/io-errors*.test.ts",
];

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: process.env["AGENTBUS_RELIABILITY"] === "long" ? [] : UNDER_WORK,
    expect: { poll: { timeout: 10_000 } },
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ["default", "./test/count-reporter.ts"],
  },
});
