// That every way out that is offered leads out, and which are.
import { describe, expect, it } from 'vitest';
import { foldedSections } from '../../../../src/editor/conversion/foldedSections';
import { remediesOf } from '../../../../src/editor/conversion/remedies';
import { chooseEncoding, wishOf } from '../../../../src/engine/plan/chooseEncoding';
import { defaultRecipe, LAYOUTS, type Recipe } from '../../../../src/engine/plan/recipe';
import { GRANULARITIES, TARGETS } from '../../../../src/engine/plan/encoding';
import type { Remedy } from '../../../../src/webview/protocol/panelApi';

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

  it('lead away from a calibration file that is wrong', () => {
    expect(remediesOf(defaultRecipe({ calibration: '/gone.safetensors' }))).toEqual([{ kind: 'calibration' }]);
    expect(remediesOf(defaultRecipe())).toEqual([]);
  });

  it('lead out, of every combination that is refused', () => {
    for (const layout of LAYOUTS)
      for (const target of TARGETS)
        for (const granularity of GRANULARITIES) {
          const recipe = defaultRecipe({ layout, target, granularity });
          for (const remedy of remediesOf(recipe)) expect(() => chooseEncoding(wishOf(applied(recipe, remedy)))).not.toThrow();
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

function applied(recipe: Recipe, remedy: Remedy): Recipe {
  switch (remedy.kind) {
    case 'granularity':
      return { ...recipe, granularity: 'auto' };
    case 'rounding':
      return { ...recipe, rounding: 'learned' };
    case 'calibration':
      return { ...recipe, calibration: null };
    case 'layout':
      return { ...recipe, layout: remedy.layout };
  }
}
