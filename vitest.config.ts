import { defineConfig } from "vitest/config";

// Tests import the built package (#dist/…): its worker threads start only from what ships. `npm test` builds first.
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    expect: { poll: { timeout: 10_000 } },
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ["default", "./test/count-reporter.ts"],
  },
});
