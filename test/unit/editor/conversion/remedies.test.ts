// That every way out that is offered leads out, and which are.
import { describe, expect, it } from 'vitest';
import { foldedSections } from '../../../../src/editor/conversion/foldedSections';
import { problemOf, warningsOf } from '../../../../src/editor/conversion/remedies';
import { chooseEncoding, wishOf } from '../../../../src/engine/plan/chooseEncoding';
import { makePlan } from '../../../../src/engine/plan/makePlan';
import { defaultRecipe, LAYOUTS, type Recipe } from '../../../../src/engine/plan/recipe';
import { GRANULARITIES, TARGETS } from '../../../../src/engine/plan/encoding';
import type { Remedy } from '../../../../src/webview/protocol/panelApi';
import { headerOf } from '../../../support/headerOf';

describe('the ways out of a recipe', () => {
  it('keep what was asked for in another layout, or take what the layout has', () => {
    const remedies = remediesOf(defaultRecipe({ layout: 'comfyui', granularity: 'block' }));
    expect(remedies).toEqual([
      { kind: 'granularity' },
      { kind: 'layout', layout: 'compressed-tensors' },
      { kind: 'layout', layout: 'huggingface' },
    ]);
  });

  it('lead to learned rounding where the reference cannot do it', () => {
    expect(remediesOf(defaultRecipe({ target: 'int8', rounding: 'tpec' }))).toEqual([{ kind: 'rounding' }]);
  });

  it('lead to another target only where the layout has none of what was chosen', () => {
    expect(remediesOf(defaultRecipe({ layout: 'huggingface', target: 'int8' }))).toContainEqual({
      kind: 'target',
      target: 'float8_e4m3fn',
    });
    expect(remediesOf(defaultRecipe({ layout: 'comfyui', granularity: 'block' })).some(({ kind }) => kind === 'target')).toBe(false);
  });

  it('lead away from a calibration file that is wrong, or to another one', () => {
    const problem = { about: 'calibration', recipe: defaultRecipe({ calibration: '/gone.safetensors' }), message: 'gone' } as const;
    expect(problemOf(problem)).toEqual({ text: 'gone', remedies: [{ kind: 'calibration' }, { kind: 'browse' }] });
  });

  it('lead to a calibration file where one is needed, or to what needs none', () => {
    expect(remediesOf(defaultRecipe({ statistics: 'calibrated' }))).toEqual([{ kind: 'browse' }, { kind: 'statistics' }]);
  });

  it('lead from what this model does not allow to what its layout takes by itself', () => {
    expect(remediesOf(defaultRecipe({ layout: 'compressed-tensors', granularity: 'tensor' }))).toEqual([{ kind: 'granularity' }]);
  });

  it('are told in words that are on the screen', () => {
    for (const layout of LAYOUTS)
      for (const target of TARGETS)
        for (const granularity of GRANULARITIES) {
          const recipe = defaultRecipe({ layout, target, granularity });
          if (!isPossible(recipe))
            expect(textOf(recipe)).not.toMatch(/granularity|--|Choose|float8|mxfp8|nvfp4|int8|comfyui|huggingface|plain/);
        }
  });

  it.each<[Partial<Recipe>, string]>([
    [{ layout: 'huggingface', target: 'mxfp8' }, 'Hugging Face takes FP8 E4M3 in blocks, not MXFP8.'],
    [{ layout: 'huggingface', granularity: 'row' }, 'Hugging Face takes FP8 E4M3 in blocks, not with one scale for each row.'],
    [{ layout: 'comfyui', granularity: 'block' }, 'ComfyUI takes FP8 E4M3 with one scale for each tensor, not in blocks.'],
    [{ layout: 'comfyui-legacy', target: 'int8' }, 'Legacy ComfyUI takes FP8 E4M3 with one scale for each tensor, not INT8.'],
    [{ layout: 'compressed-tensors', target: 'float8_e5m2' }, 'compressed-tensors takes FP8 E4M3, INT8, MXFP8 and NVFP4, not FP8 E5M2.'],
    [{ layout: 'plain', target: 'mxfp8', granularity: 'row' }, 'MXFP8 has blocks of its own, 1 × 32.'],
  ])('say what the layout takes, and what it does not: %j', (recipe, words) => {
    expect(textOf(defaultRecipe(recipe))).toBe(words);
  });

  it('lead from a model that is quantized already to its codes rounded anew', () => {
    const header = headerOf({ 'a.weight': ['F8_E4M3', 64, 64] });
    const plan = makePlan(header, defaultRecipe(), { toolVersion: 'test' });
    expect(warningsOf(plan, 'some')).toEqual([
      { text: 'Nothing to quantize: the model is quantized already (1 weight).', remedies: [{ kind: 'requantize' }] },
    ]);
    expect(warningsOf(plan, 'none')[0]?.remedies).toEqual([]);
  });

  it('lead to smaller blocks where matrices do not divide into larger ones', () => {
    const header = headerOf({
      'a.weight': ['BF16', 256, 256],
      'b.weight': ['BF16', 192, 256],
      'c.weight': ['BF16', 161, 256],
      'd.weight': ['BF16', 320, 256],
      'e.weight': ['BF16', 257, 255],
    });
    const planOf = (edge: number) =>
      makePlan(header, defaultRecipe({ layout: 'huggingface', granularity: 'block', blockSize: [edge, edge] }), { toolVersion: 'test' });
    const [warning, ...others] = warningsOf(planOf(128), 'none');
    expect(others).toEqual([]);
    expect(warning?.text).toBe('2 matrices do not divide into blocks of 128 × 128 and are kept; blocks of 64 × 64 would take them.');
    expect(warning?.remedies).toEqual([{ kind: 'block', edge: 64 }]);
    expect(
      planOf(64)
        .tensors.filter(({ action }) => action === 'quantize')
        .map(({ source }) => source.name),
    ).toEqual(['a.weight', 'b.weight', 'd.weight']);
  });

  it('lead out, of every combination that is refused', () => {
    for (const layout of LAYOUTS)
      for (const target of TARGETS)
        for (const granularity of GRANULARITIES) {
          const recipe = defaultRecipe({ layout, target, granularity });
          if (isPossible(recipe)) continue;
          const remedies = remediesOf(recipe);
          expect(remedies).not.toEqual([]);
          for (const remedy of remedies) expect(isPossible(applied(recipe, remedy))).toBe(true);
        }
  });
});

describe('the folded sections', () => {
  it('are what was remembered, whatever it is', () => {
    expect(foldedSections(undefined)).toEqual(['statistics', 'tensors']);
    expect(foldedSections(['output', 'gone', 3])).toEqual(['output']);
    expect(foldedSections([])).toEqual([]);
  });
});

function remediesOf(recipe: Recipe): readonly Remedy[] {
  return problemOf({ about: 'recipe', recipe, message: 'refused' }).remedies;
}

function textOf(recipe: Recipe): string {
  return problemOf({ about: 'recipe', recipe, message: '--refused' }).text;
}

function isPossible(recipe: Recipe): boolean {
  try {
    chooseEncoding(wishOf(recipe));
    return true;
  } catch {
    return false;
  }
}

function applied(recipe: Recipe, remedy: Remedy): Recipe {
  switch (remedy.kind) {
    case 'granularity':
      return { ...recipe, granularity: 'auto' };
    case 'rounding':
      return { ...recipe, rounding: 'learned' };
    case 'calibration':
      return { ...recipe, calibration: null };
    case 'browse':
      return { ...recipe, calibration: '/chosen.safetensors' };
    case 'statistics':
      return { ...recipe, statistics: 'auto' };
    case 'layout':
      return { ...recipe, layout: remedy.layout };
    case 'target':
      return { ...recipe, target: remedy.target, granularity: 'auto' };
    case 'block':
      return { ...recipe, granularity: 'block', blockSize: [remedy.edge, remedy.edge] };
    case 'requantize':
      return { ...recipe, quantized: 'requantize' };
    case 'defaultName':
    case 'browseOutput':
    case 'createFolder':
      return recipe;
  }
}
