/** remedies: which changes of a recipe that cannot be carried out make it one that can. Pure. */
import { EngineError } from '../../engine/errors';
import { chooseEncoding, wishOf } from '../../engine/plan/chooseEncoding';
import { LAYOUTS, type Recipe } from '../../engine/plan/recipe';
import type { Remedy } from '../../webview/protocol/panelApi';

/** More choices help nobody. */
const MOST = 3;

export function remediesOf(recipe: Recipe): readonly Remedy[] {
  // It can be written as it is: the problem is what steers it.
  if (isPossible(recipe)) return recipe.calibration === null ? [] : [{ kind: 'calibration' }];
  const candidates: readonly (readonly [Remedy, Partial<Recipe>])[] = [
    [{ kind: 'granularity' }, { granularity: 'auto' }],
    [{ kind: 'rounding' }, { rounding: 'learned' }],
    ...LAYOUTS.map((layout) => [{ kind: 'layout', layout }, { layout }] as const),
  ];
  return candidates
    .filter(([, change]) => isPossible({ ...recipe, ...change }))
    .map(([remedy]) => remedy)
    .slice(0, MOST);
}

function isPossible(recipe: Recipe): boolean {
  try {
    chooseEncoding(wishOf(recipe));
    return true;
  } catch (error) {
    if (error instanceof EngineError) return false;
    throw error;
  }
}
