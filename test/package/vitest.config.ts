import { defineConfig } from "vitest/config";

// Apart from `npm test`: it packs, which builds dist/ anew, and installs from the registry.
export default defineConfig({
  test: {
    include: ["test/package/**/*.test.ts"],
    pool: "forks",
    testTimeout: 60_000,
    hookTimeout: 240_000,
    reporters: ["default", "./test/count-reporter.ts"],
  },
});
