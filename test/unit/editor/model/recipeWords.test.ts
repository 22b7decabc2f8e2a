/** The line beside Convert says all that is chosen, and nothing of what is left to the defaults. */
import { expect, it } from 'vitest';
import { recipeWords } from '../../../../src/editor/model/recipeWords';
import { defaultRecipe, type Recipe } from '../../../../src/engine/plan/recipe';
import { roundingDifferences } from '../../../../src/webview/protocol/labels';

it.each<[Partial<Recipe>, string]>([
  [{}, 'Learned rounding · FP8 E4M3 · ComfyUI layout'],
  [{ rounding: 'tpec' }, 'TPEC rounding · FP8 E4M3 · ComfyUI layout'],
  [{ topK: 1, numIter: 100 }, 'Learned rounding · first component · 100 iterations · FP8 E4M3 · ComfyUI layout'],
  [{ topK: 32 }, 'Learned rounding · first 32 components · FP8 E4M3 · ComfyUI layout'],
  [{ rounding: 'tpec', topK: 'full' }, 'TPEC rounding · all components · FP8 E4M3 · ComfyUI layout'],
  [{ rounding: 'nearest', topK: 1, numIter: 100, statistics: 'gram' }, 'Nearest rounding · FP8 E4M3 · ComfyUI layout'],
  [
    { statistics: 'calibrated', calibration: '/c/inputs.safetensors', sides: 'both', calibSamples: 1024, biasCorrection: 'off' },
    'Learned rounding · real inputs from a file · inputs and outputs · 1,024 samples · inputs.safetensors · no bias correction · FP8 E4M3 · ComfyUI layout',
  ],
  [
    { target: 'int8', granularity: 'row', layout: 'plain', presets: [] },
    'Learned rounding · INT8 · a scale for each row · plain layout · no preset',
  ],
  [{ presets: ['auto', 't5xxl'] }, 'Learned rounding · FP8 E4M3 · ComfyUI layout · T5-XXL text encoder'],
])('%j: %s', (choices, words) => {
  expect(recipeWords(defaultRecipe(choices))).toBe(words);
});

it('knows the defaults of each rounding', () => {
  for (const rounding of ['learned', 'tpec', 'nearest'] as const) expect(roundingDifferences(defaultRecipe({ rounding }))).toEqual([]);
});
