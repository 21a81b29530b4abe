/**
 * Which known names a misspelled one may have meant. Knows only names.
 */
import leven from "leven";

const MAX_SUGGESTIONS = 3;

/**
 * Nearest first, at most three, none that differs in more than a third of its letters, rounded up. Two letters that changed
 * places are one difference: "jeo" may mean joe.
 */
export function nearestNames(wanted: string, known: readonly string[]): string[] {
  const farthest = Math.ceil(wanted.length / 3);
  return known
    .map((name) => ({ name, distance: distanceOf(wanted, name, farthest + 1) }))
    .filter(({ distance }) => distance <= farthest && distance < wanted.length)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, MAX_SUGGESTIONS)
    .map(({ name }) => name);
}

function distanceOf(wanted: string, name: string, maxDistance: number): number {
  return changedPlaces(wanted, name) ? 1 : leven(wanted, name, { maxDistance });
}

/** Whether two neighbouring letters in the one stand the other way round in the other, and nothing else differs. */
function changedPlaces(a: string, b: string): boolean {
  const at = [...a].findIndex((letter, i) => letter !== b[i]);
  const swapped = a.slice(0, at) + a.charAt(at + 1) + a.charAt(at) + a.slice(at + 2);
  return at >= 0 && swapped === b;
}
