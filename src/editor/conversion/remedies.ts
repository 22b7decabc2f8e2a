/** remedies: what is wrong with a recipe in the panel's words, and which changes make it one that can be carried out. Pure. */
import { EngineError } from '../../engine/errors';
import { chooseEncoding, wishOf } from '../../engine/plan/chooseEncoding';
import { TARGET_FACTS, TARGETS } from '../../engine/plan/encoding';
import type { Plan } from '../../engine/plan/plan';
import { LAYOUTS, type Recipe } from '../../engine/plan/recipe';
import { unevenBlocks } from '../../engine/plan/unevenBlocks';
import { nothingLeftToQuantize } from '../../engine/plan/warnings';
import { TARGET_LABELS } from '../../webview/protocol/labels';
import type { Notice, Remedy } from '../../webview/protocol/panelApi';
import type { RecipeProblem } from '../model/modelDocument';
import { refusalWords } from './refusalWords';

/** More choices help nobody. */
const MOST = 3;

/** The engine's own message speaks to the command line as well. */
export function problemOf({ about, recipe, message }: RecipeProblem): Notice {
  return { text: wordsOf(recipe) ?? message, remedies: remediesOf(recipe, about) };
}

/** What can be done about the plan's warnings. */
export function warningsOf({ tensors, recipe, warnings }: Plan, sourceCodes: 'some' | 'none'): readonly Notice[] {
  const uneven = unevenBlocks(tensors, recipe);
  const quantized = sourceCodes === 'some' && recipe.quantized === 'keep' ? nothingLeftToQuantize(tensors) : undefined;
  const remediesFor = (text: string): readonly Remedy[] => {
    if (text === uneven?.sentence) return [{ kind: 'block', edge: uneven.edge }];
    return text === quantized ? [{ kind: 'requantize' }] : [];
  };
  return warnings.map((text) => ({ text, remedies: remediesFor(text) }));
}

function wordsOf(recipe: Recipe): string | undefined {
  const { target, rounding, granularity } = recipe;
  if (lacksCalibration(recipe)) return 'Real inputs are asked for, and there is no calibration file to take them from.';
  if (isPossible(recipe)) return undefined;
  const prescribed = TARGET_FACTS[target].block;
  if (prescribed !== undefined && granularity !== 'auto' && granularity !== 'block') {
    return `${TARGET_LABELS[target]} has blocks of its own, ${prescribed.rows} × ${prescribed.columns}.`;
  }
  if (isPossible({ ...recipe, rounding: 'learned' })) {
    return rounding === 'tpec' ? 'TPEC rounding knows FP8 E4M3 with one scale for each tensor only.' : undefined;
  }
  return refusalWords(recipe);
}

function remediesOf(recipe: Recipe, about: RecipeProblem['about']): readonly Remedy[] {
  if (lacksCalibration(recipe)) return [{ kind: 'browse' }, { kind: 'statistics' }];
  if (about === 'calibration') return [{ kind: 'calibration' }, { kind: 'browse' }];
  // What stands in the way is not the recipe alone but what this model makes of it.
  if (isPossible(recipe)) {
    if (recipe.granularity !== 'auto') return [{ kind: 'granularity' }];
    return recipe.convolutions === 'quantize' && recipe.layout !== 'plain' ? [{ kind: 'layout', layout: 'plain' }] : [];
  }
  const automatic = { granularity: 'auto' } as const;
  // Another target is another file: only where the layout has no place for this one.
  const target = isPossible({ ...recipe, ...automatic, rounding: 'learned' })
    ? undefined
    : TARGETS.find((other) => isPossible({ ...recipe, ...automatic, target: other }));
  const candidates: readonly (readonly [Remedy, Partial<Recipe>])[] = [
    [{ kind: 'granularity' }, automatic],
    [{ kind: 'rounding' }, { rounding: 'learned' }],
    ...(target === undefined
      ? []
      : [
          [
            { kind: 'target', target },
            { ...automatic, target },
          ] as const,
        ]),
    ...LAYOUTS.map((layout) => [{ kind: 'layout', layout }, { layout }] as const),
  ];
  return candidates
    .filter(([, change]) => isPossible({ ...recipe, ...change }))
    .map(([remedy]) => remedy)
    .slice(0, MOST);
}

function lacksCalibration({ rounding, statistics, calibration }: Recipe): boolean {
  return rounding === 'learned' && statistics === 'calibrated' && calibration === null;
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
