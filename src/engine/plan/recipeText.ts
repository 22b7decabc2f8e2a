/** recipeText: what a recipe says, in one line, in the words of the command line; what is left to the defaults is left out. Pure. */
import { formatQuantity } from '../../base/format';
import { TARGET_FACTS } from './encoding';
import type { Recipe } from './recipe';

export function recipeText({
  rounding,
  topK,
  numIter,
  statistics,
  sides,
  calibration,
  biasCorrection,
  layout,
  target,
  granularity,
  blockSize,
  presets,
  convolutions,
  embeddings,
  quantized,
  seed,
  overrides,
}: Recipe): string {
  const rank = topK === 'full' ? 'full rank' : `top ${topK}`;
  const parts = {
    nearest: ['nearest rounding'],
    learned: ['learned rounding', rank, `at most ${formatQuantity(numIter, 'sweep')}`],
    tpec: ['tpec rounding', rank, `at most ${formatQuantity(numIter, 'step')}`, `seed ${seed}`],
  }[rounding];
  return [
    ...parts,
    ...(rounding === 'learned' ? steeringParts({ statistics, sides, calibration }) : []),
    ...(biasCorrection === 'off' ? ['biases as they are'] : []),
    target,
    ...(granularity === 'auto' || TARGET_FACTS[target].block !== undefined
      ? []
      : [granularity === 'block' ? `blocks of ${blockSize.join(' × ')}` : `a scale for each ${granularity}`]),
    `layout ${layout}`,
    ...presets.map((preset) => `preset ${preset}`),
    ...(convolutions === 'quantize' ? ['convolutions too'] : []),
    ...(embeddings === 'quantize' ? ['embeddings too'] : []),
    ...(quantized === 'requantize' ? ['quantized ones anew'] : []),
    ...(overrides.length > 0 ? [formatQuantity(overrides.length, 'override')] : []),
  ].join(', ');
}

/** What is chosen by itself is told by the report, which knows what was there. */
function steeringParts({ statistics, sides, calibration }: Pick<Recipe, 'statistics' | 'sides' | 'calibration'>): readonly string[] {
  return [
    ...(statistics === 'auto' ? [] : [`${statistics} statistics`]),
    ...(calibration === null ? [] : [`calibrated by ${calibration}`]),
    ...(sides === 'auto' ? [] : [sides === 'both' ? 'steered on both sides' : 'steered on the input side']),
  ];
}
