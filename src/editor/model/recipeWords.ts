/** recipeWords: what Convert would do, in one line and in the panel's words: rounding, target and layout, and all else that differs from the default. Pure. */
import { chooseEncoding, wishOf } from '../../engine/plan/chooseEncoding';
import { TARGET_FACTS } from '../../engine/plan/encoding';
import { PRESETS } from '../../engine/plan/presets';
import type { Recipe } from '../../engine/plan/recipe';
import {
  LAYOUT_LABELS,
  ROUNDING_LABELS,
  roundingDifferences,
  STATISTICS_LABELS,
  steeringDifferences,
  TARGET_LABELS,
} from '../../webview/protocol/labels';

export function recipeWords(recipe: Recipe): string {
  const { rounding, target, layout, statistics, calibration } = recipe;
  const isSteered = rounding === 'learned' && statistics !== 'auto';
  return [
    `${ROUNDING_LABELS[rounding]} rounding`,
    ...roundingDifferences(recipe),
    ...(isSteered ? [STATISTICS_LABELS[statistics].toLowerCase()] : []),
    ...steeringDifferences({ ...recipe, calibration: calibration ?? '' }),
    TARGET_LABELS[target],
    ...granularityWords(recipe),
    layout === 'comfyui-legacy' ? 'legacy ComfyUI layout' : `${layout === 'plain' ? 'plain' : LAYOUT_LABELS[layout]} layout`,
    ...presetWords(recipe),
    ...(recipe.convolutions === 'quantize' ? ['with convolutions'] : []),
    ...(recipe.embeddings === 'quantize' ? ['with embeddings'] : []),
    ...(recipe.quantized === 'requantize' ? ['quantized ones anew'] : []),
  ].join(' · ');
}

function presetWords({ presets }: Recipe): readonly string[] {
  if (presets.length === 0) return ['no preset'];
  return presets.filter((preset) => preset !== 'auto').map((preset) => PRESETS[preset].label);
}

/** Nothing where it goes without saying: what `auto` has for the whole tensor or each row, and the blocks that a target prescribes. */
function granularityWords(recipe: Recipe): readonly string[] {
  const { granularity } = chooseEncoding(wishOf(recipe));
  if (granularity.kind === 'block' && TARGET_FACTS[recipe.target].block === undefined)
    return [`blocks of ${granularity.rows} × ${granularity.columns}`];
  return recipe.granularity === 'auto' ? [] : [`a scale for each ${granularity.kind}`];
}
