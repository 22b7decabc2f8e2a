/** What is decided for tensors that were selected, as overrides: by patterns, where these mean them and no others. Pure. */
import type { Override } from '../../engine/plan/overrides';
import { parsePattern, patternOfName } from '../../engine/plan/tensorPattern';
import type { OverrideRequest } from '../../webview/protocol/panelApi';

/**
 * Takes back what overrides say of the selected tensors alone, then says what is decided now. `all`: the names in the file. Where something is
 * only taken back, an override of others besides goes on deciding for those.
 */
export function overrideSelected(
  overrides: readonly Override[],
  {
    names,
    action,
    all,
  }: { readonly names: readonly string[]; readonly action: OverrideRequest['action']; readonly all: readonly string[] },
): readonly Override[] {
  const selected = new Set(names);
  const known = new Set(all);
  const others = overrides.flatMap((override) => {
    const meant = meantBy(override, known);
    const rest = meant.filter((name) => !selected.has(name));
    if (rest.length === 0 && meant.length > 0) return [];
    if (rest.length === meant.length || action !== 'reset') return [override];
    return patternsOf(rest, all).map((match) => ({ ...override, match }));
  });
  return action === 'reset' ? others : [...others, ...patternsOf(names, all).map((match) => ({ match, action }))];
}

/** As few as the parts of the names allow: where everything that begins with them is meant, those parts and a star. */
export function patternsOf(names: readonly string[], all: readonly string[]): readonly string[] {
  const among = countsByBeginning(all);
  const meant = countsByBeginning(names);
  const patternOf = (name: string): string => {
    // Of beginnings that mean the same, the longest says most.
    let found: string | undefined;
    let size = 1;
    for (const beginning of beginningsOf(name)) {
      const count = meant.get(beginning) ?? 0;
      if (count > 1 && count === among.get(beginning) && (found === undefined || count === size)) {
        found = beginning;
        size = count;
      }
    }
    return found === undefined ? patternOfName(name) : `${patternOfName(found)}*`;
  };
  return [...new Set(names.map(patternOf))];
}

/** Empty first; then up to each dot. */
function beginningsOf(name: string): readonly string[] {
  return ['', ...Array.from(name.matchAll(/\./g), ({ index }) => name.slice(0, index + 1))];
}

function countsByBeginning(names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) for (const beginning of beginningsOf(name)) counts.set(beginning, (counts.get(beginning) ?? 0) + 1);
  return counts;
}

/** Nothing, where the pattern cannot be read: that is told elsewhere. */
function meantBy({ match }: Override, all: ReadonlySet<string>): readonly string[] {
  try {
    const pattern = parsePattern(match);
    if (pattern.kind === 'pattern') return [...all].filter(pattern.matches);
    return all.has(pattern.name) ? [pattern.name] : [];
  } catch {
    return [];
  }
}
