/**
 * Which known names a misspelled one may have meant. Knows only names.
 */
import leven from "leven";

const MAX_SUGGESTIONS = 3;

/** Nearest first, at most three, none that differs in more than a third of its letters, rounded up. */
export function nearestNames(wanted: string, known: readonly string[]): string[] {
  const farthest = Math.ceil(wanted.length / 3);
  return known
    .map((name) => ({ name, distance: leven(wanted, name, { maxDistance: farthest + 1 }) }))
    .filter(({ distance }) => distance <= farthest)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, MAX_SUGGESTIONS)
    .map(({ name }) => name);
}
