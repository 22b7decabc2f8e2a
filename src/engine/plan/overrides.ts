/** Overrides: what the user decided for tensors by name or pattern. They come before every other rule, and of those that match the last one counts. */
import type { Action } from './decision';
import type { BlockSize, GranularityName, Target } from './encoding';
import type { Rounding } from './rounding';
import { parsePattern } from './tensorPattern';

export interface Override {
  /** A tensor's name, a glob or a regular expression: see tensorPattern.ts. */
  readonly match: string;
  readonly action: Action;
  /** With `quantize` only: in the place of the recipe's. */
  readonly target?: Target;
  readonly granularity?: GranularityName;
  readonly blockSize?: BlockSize;
  readonly rounding?: Rounding;
}

/** The override that decides for a tensor, if one does. */
export type OverrideLookup = (tensorName: string) => Override | undefined;

/** Throws EngineError InvalidRecipe where a pattern cannot be read. Plain names cost nothing for each tensor, however many there are. */
export function overrideLookup(overrides: readonly Override[]): OverrideLookup {
  const byName = new Map<string, number>();
  const patterns: { readonly index: number; readonly matches: (name: string) => boolean }[] = [];
  for (const [index, { match }] of overrides.entries()) {
    const pattern = parsePattern(match);
    if (pattern.kind === 'name') byName.set(pattern.name, index);
    else patterns.unshift({ index, matches: pattern.matches });
  }
  return (tensorName) => {
    const named = byName.get(tensorName) ?? -1;
    const matched = patterns.find(({ index, matches }) => index > named && matches(tensorName))?.index ?? -1;
    return overrides[Math.max(named, matched)];
  };
}
