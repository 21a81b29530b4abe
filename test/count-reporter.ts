/** Ends a run with one plain line, `N passed, N failed`, for programs that read it. A skipped test counts by name. */
import type { Reporter, TestModule } from "vitest/node";

export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string) => tests.filter((test) => test.result().state === state).length;
    // A file that could not even be loaded has no tests that could fail.
    const broken = modules.filter((module) => module.errors().length > 0).length;
    const skipped = tests.filter((test) => test.result().state === "skipped");
    for (const test of skipped) process.stdout.write(`skipped: ${test.fullName}\n`);
    process.stdout.write(
      `${count("passed")} passed, ${count("failed") + broken} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}\n`,
    );
  }
}
