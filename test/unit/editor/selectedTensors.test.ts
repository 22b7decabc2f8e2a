/** What is decided for tensors that were selected in the table. */
import { describe, expect, it } from 'vitest';
import { overrideSelected, patternsOf } from '../../../src/editor/recipe/selectedTensors';
import { overrideLookup } from '../../../src/engine/plan/overrides';

const layers = [0, 1, 10].flatMap((layer) =>
  ['attn.q.weight', 'attn.k.weight', 'norm.weight'].map((end) => `model.layers.${layer}.${end}`),
);
const all = [...layers, 'head*.weight', 'head*.bias', 'headless.weight'];
const startingWith = (beginning: string): readonly string[] => all.filter((name) => name.startsWith(beginning));

describe('the patterns of a selection', () => {
  it('are one for all that begins alike, which means nothing else', () => {
    expect(patternsOf(startingWith('model.layers.1.'), all)).toEqual(['model.layers.1.*']);
    expect(patternsOf(layers, all)).toEqual(['model.layers.*']);
    expect(patternsOf(all, all)).toEqual(['*']);
    expect(patternsOf(startingWith('head*'), all)).toEqual(['head\\*.*']);
  });

  it('are names where some that begin alike are not selected, and of a tensor alone', () => {
    expect(patternsOf(['model.layers.0.attn.q.weight'], all)).toEqual(['model.layers.0.attn.q.weight']);
    expect(patternsOf(['headless.weight'], all)).toEqual(['headless.weight']);
    expect(patternsOf([...startingWith('model.layers.0.attn.'), 'model.layers.1.norm.weight'], all)).toEqual([
      'model.layers.0.attn.*',
      'model.layers.1.norm.weight',
    ]);
  });
});

describe('a decision for what is selected', () => {
  const keep = (names: readonly string[], overrides: Parameters<typeof overrideSelected>[0] = []) =>
    overrideSelected(overrides, { names, action: 'keep', all });
  const reset = (names: readonly string[], overrides: Parameters<typeof overrideSelected>[0]) =>
    overrideSelected(overrides, { names, action: 'reset', all });
  const decided = (overrides: Parameters<typeof overrideSelected>[0]): readonly string[] =>
    all.filter((name) => overrideLookup(overrides)(name) !== undefined);

  it('takes the place of what was decided for these alone, and comes after all others', () => {
    const one = keep(['model.layers.0.norm.weight']);
    const others = [...one, { match: '*.norm.*', action: 'remove' } as const];
    expect(keep(startingWith('model.layers.0.'), others)).toEqual([
      { match: '*.norm.*', action: 'remove' },
      { match: 'model.layers.0.*', action: 'keep' },
    ]);
  });

  it('is taken back for a group, however it was made', () => {
    const made = [...keep(['model.layers.0.norm.weight']), ...keep(startingWith('model.layers.0.attn.'))];
    expect(reset(startingWith('model.layers.0.'), made)).toEqual([]);
  });

  it('is taken back for some, and stays for the others', () => {
    const nearest = { match: '*.norm.*', action: 'quantize', rounding: 'nearest' } as const;
    const after = reset(
      ['model.layers.1.norm.weight', 'model.layers.1.attn.q.weight'],
      [...keep(startingWith('model.layers.1.')), nearest],
    );
    expect(after).toEqual([
      { match: 'model.layers.1.attn.k.weight', action: 'keep' },
      { ...nearest, match: 'model.layers.0.norm.weight' },
      { ...nearest, match: 'model.layers.10.norm.weight' },
    ]);
    expect(decided(after)).toEqual(['model.layers.0.norm.weight', 'model.layers.1.attn.k.weight', 'model.layers.10.norm.weight']);
  });

  it('leaves what means no tensor of this file, and what cannot be read', () => {
    const others = [
      { match: 'other.*', action: 'keep' },
      { match: '/(/', action: 'keep' },
    ] as const;
    expect(reset(all, others)).toEqual(others);
  });
});
