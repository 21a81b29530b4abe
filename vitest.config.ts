import { defineConfig } from "vitest/config";

// Tests import the built package (#dist/…): its worker threads start only from what ships. `npm test` builds first.
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/package/**"],
    expect: { poll: { timeout: 10_000 } },
    // What ships is run as it ships, by node itself; and coverage counts its lines, not those of a transformed copy.
    server: { deps: { external: [/\/(dist|gen)\//] } },
    setupFiles: ["./test/take-coverage.ts"],
    pool: "forks",
    // On two cores: tests wait a lot, for leases, clocks and processes. With two workers the whole took 9 minutes, with three 7.5.
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ["default", "./test/count-reporter.ts"],
  },
});
