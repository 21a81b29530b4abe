/** The clock of a node: max(wall clock, last answer + monotonic time), whatever the wall clock does. */

import { describe, expect, test } from "vitest";
import { steadyClock } from "#dist/clock.js";

const START = 1_900_000_000_000;

/** A clock whose two sources the test moves. */
function clockAt(start = START) {
  const sources = { wall: start, monotonic: 12_345.678 };
  const clock = steadyClock(
    () => sources.wall,
    () => sources.monotonic,
  );
  return {
    clock,
    sources,
    /** Real time passes for both. */
    pass(ms: number) {
      sources.wall += ms;
      sources.monotonic += ms;
    },
  };
}

describe("a node's clock", () => {
  test("shows the wall clock as long as that goes on", () => {
    const { clock, pass } = clockAt();
    expect(clock()).toBe(START);
    pass(1500);
    expect(clock()).toBe(START + 1500);
    pass(0);
    expect(clock()).toBe(START + 1500);
  });

  test("follows the wall clock at once when that is set forward", () => {
    const { clock, sources } = clockAt();
    sources.wall += 3_600_000;
    expect(clock()).toBe(START + 3_600_000);
  });

  test("goes on at its own pace when the wall clock is set back", () => {
    const { clock, sources, pass } = clockAt();
    pass(10);
    expect(clock()).toBe(START + 10);
    sources.wall -= 3_600_000;
    expect(clock()).toBe(START + 10);
    pass(250);
    expect(clock()).toBe(START + 260);
    pass(60_000);
    expect(clock()).toBe(START + 60_260);
  });

  test("follows the wall clock again once that has caught up", () => {
    const { clock, sources, pass } = clockAt();
    sources.wall -= 1000;
    pass(500);
    expect(clock()).toBe(START + 500);
    sources.wall += 5000;
    expect(clock()).toBe(START + 4500);
  });

  test("loses no time however often it is asked while the wall clock lags", () => {
    const { clock, sources, pass } = clockAt();
    sources.wall -= 3_600_000;
    for (let i = 0; i < 10_000; i++) {
      pass(0.7);
      clock();
    }
    expect(Math.abs(clock() - (START + 7000))).toBeLessThanOrEqual(2);
  });

  test("loses no time when it is asked every one and a half milliseconds while the wall clock lags", () => {
    const { clock, sources, pass } = clockAt();
    sources.wall -= 3_600_000;
    for (let i = 0; i < 10_000; i++) {
      pass(1.5);
      clock();
    }
    expect(Math.abs(clock() - (START + 15_000))).toBeLessThanOrEqual(2);
  });

  test("never goes back and answers whole milliseconds, whatever the wall clock does", () => {
    const { clock, sources, pass } = clockAt();
    let last = clock();
    for (let i = 0; i < 5000; i++) {
      // Jumps of up to a minute in both directions, in no rhythm.
      if (i % 7 === 0) sources.wall += ((i * 7919) % 120_001) - 60_000;
      pass(((i * 31) % 100) / 37);
      const now = clock();
      expect(Number.isInteger(now)).toBe(true);
      expect(now).toBeGreaterThanOrEqual(last);
      last = now;
    }
  });

  test("shows whole milliseconds of a wall clock that has fractions", () => {
    const { clock, sources } = clockAt(START + 0.75);
    expect(clock()).toBe(START);
    sources.wall += 1;
    expect(clock()).toBe(START + 1);
  });

  test("is that of this machine unless told otherwise", () => {
    const clock = steadyClock();
    const before = Date.now();
    const now = clock();
    expect(now).toBeGreaterThanOrEqual(before - 1);
    expect(now).toBeLessThanOrEqual(Date.now() + 1);
  });

  test("is each node's own", () => {
    const one = clockAt();
    const other = clockAt(START - 1000);
    one.pass(10);
    expect([one.clock(), other.clock()]).toEqual([START + 10, START - 1000]);
  });
});
