/** suggest: the known word that was probably meant. Pure. */

/** The closest of `known` within a third of the length of `typed`, and at least one and a half slips; undefined where none is. */
export function suggest(typed: string, known: readonly string[]): string | undefined {
  const wanted = normalised(typed);
  let best: { readonly word: string; readonly distance: number } | undefined;
  for (const word of known) {
    const candidate = normalised(word);
    const startsAlike = wanted.length >= 3 && candidate.startsWith(wanted);
    const distance = startsAlike ? 0.5 : editDistance(wanted, candidate);
    if (distance <= Math.max(2, wanted.length / 3) && distance < wanted.length && (best === undefined || distance < best.distance)) {
      best = { word, distance };
    }
  }
  return best?.word;
}

function normalised(word: string): string {
  return word.toLowerCase().replace(/[-_]/g, '');
}

/** Insertions, deletions, replacements, and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, (beforePrevious[j - 2] ?? 0) + 1);
      current.push(least);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}
