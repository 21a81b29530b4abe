/**
 * Time that never runs backwards within a node. Knows nothing of who asks; tests pass in sources of their own.
 */

/** Milliseconds since 1970, UTC; whole, and never less than what it answered before. */
export type Clock = () => number;

/**
 * max(wall clock, last answer + monotonic time since): when the wall clock is set back, time goes on at its own pace
 * until the wall has caught up.
 */
export function steadyClock(wall: () => number = Date.now, monotonic: () => number = () => performance.now()): Clock {
  let last = wall();
  let at = monotonic();
  return () => {
    const then = at;
    at = monotonic();
    // Fractions of a millisecond are kept: dropped, they would add up to a clock that is slow.
    last = Math.max(wall(), last + (at - then));
    return Math.floor(last);
  };
}
