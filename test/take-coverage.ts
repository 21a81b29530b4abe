/** Writes down which lines this process ran, for `npm run coverage`: vitest ends its processes too rudely for node to. */
import { takeCoverage } from "node:v8";
import { afterAll } from "vitest";

afterAll(() => {
  if (process.env["NODE_V8_COVERAGE"] !== undefined) takeCoverage();
});
