/** What the user decides for tensors, and what a recognised family keeps. */
import { describe, expect, it } from 'vitest';
import { makePlan } from '../../../../src/engine/plan/makePlan';
import type { Override } from '../../../../src/engine/plan/overrides';
import type { PlannedTensor } from '../../../../src/engine/plan/plan';
import { defaultRecipe, type PresetName } from '../../../../src/engine/plan/recipe';
import { parsePattern, patternOfName } from '../../../../src/engine/plan/tensorPattern';
import { headerOf as familyHeader } from '../../../fixtures/families/template';
import { KNOWN_FIXTURES } from '../../../fixtures/families/all';
import { headerOf } from '../../../support/headerOf';

const header = headerOf({
  'blocks.0.mlp.weight': ['BF16', 256, 128],
  'blocks.1.mlp.weight': ['BF16', 256, 128],
  'embed.weight': ['BF16', 256, 128],
  'blocks.0.mlp.bias': ['BF16', 256],
});

function decided(...overrides: readonly Override[]): readonly string[] {
  return makePlan(header, defaultRecipe({ overrides }), { toolVersion: '1' }).tensors.map(({ action }) => action);
}

function matches(pattern: string, name: string): boolean {
  const parsed = parsePattern(pattern);
  return parsed.kind === 'name' ? parsed.name === name : parsed.matches(name);
}

describe('overrides', () => {
  it('decide before every rule, and the last that matches counts', () => {
    expect(decided()).toEqual(['quantize', 'quantize', 'keep', 'keep']);
    expect(decided({ match: '*.mlp.*', action: 'remove' })).toEqual(['remove', 'remove', 'keep', 'remove']);
    expect(decided({ match: 'blocks.1.mlp.weight', action: 'keep' }, { match: '*', action: 'remove' })).toEqual(Array(4).fill('remove'));
    expect(decided({ match: '*', action: 'remove' }, { match: 'blocks.1.mlp.weight', action: 'keep' })[1]).toBe('keep');
    expect(decided({ match: 'embed.weight', action: 'quantize' })[2]).toBe('quantize');
  });

  it('cannot quantize what has no matrix product, and say why', () => {
    const { tensors } = makePlan(header, defaultRecipe({ overrides: [{ match: '*', action: 'quantize' }] }), { toolVersion: '1' });
    expect(tensors[3]).toMatchObject({ action: 'keep', reason: expect.stringMatching(/^Override: it cannot be quantized\. /) as string });
    expect(tensors[2]).toMatchObject({ action: 'quantize', reason: 'Override: * → quantize.' });
  });

  it('cannot quantize a tensor with NaN', () => {
    const keepAnyway = new Map([['embed.weight', 'It has 3 NaN.']]);
    const recipe = defaultRecipe({ overrides: [{ match: 'embed.weight', action: 'quantize' }] });
    expect(makePlan(header, recipe, { toolVersion: '1', keepAnyway }).tensors[2]).toMatchObject({ action: 'keep', rule: 'told' });
  });

  it('are told of when they match nothing', () => {
    const recipe = defaultRecipe({ overrides: [{ match: 'mlp', action: 'keep' }] });
    expect(makePlan(header, recipe, { toolVersion: '1' }).warnings).toContain('The override "mlp" matches no tensor.');
  });
});

describe('patterns', () => {
  it.each([
    ['*', 'anything.at.all', true],
    ['blocks.*.weight', 'blocks.0.mlp.weight', true],
    ['blocks.*.weight', 'blocks.0.mlp.bias', false],
    ['blocks.?.mlp.weight', 'blocks.10.mlp.weight', false],
    ['*a*b*c', 'xaxbxbxc', true],
    ['*a*b*c', 'xaxbxbx', false],
    ['mlp', 'blocks.0.mlp.weight', false],
    ['/mlp/', 'blocks.0.mlp.weight', true],
    ['/MLP$/i', 'a.mlp', true],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'axb', false],
  ])('%s on %s: %s', (pattern, name, expected) => {
    expect(matches(pattern, name)).toBe(expected);
  });

  it('can be made of any name', () => {
    for (const name of ['a.b', 'a*b?', 'back\\slash', '/x/', '/x/i', '名.weight']) {
      expect(matches(patternOfName(name), name)).toBe(true);
      expect(parsePattern(patternOfName(name)).kind).toBe('name');
    }
  });

  it('take time that does not explode', () => {
    // Trying every way to match would outlast the test's time limit by far.
    expect(matches(`${'*a'.repeat(40)}b`, 'a'.repeat(4000))).toBe(false);
  });

  it.each(['', '/(/', '/a/g'])('that cannot be read are refused: %j', (pattern) => {
    expect(() => parsePattern(pattern)).toThrow(expect.objectContaining({ code: 'InvalidRecipe' }) as Error);
  });
});

describe('preset auto', () => {
  const { templates } = KNOWN_FIXTURES.find(({ model }) => model === 'LTX-2 19B')!;
  const ltx = familyHeader(templates);
  const name = 'model.diffusion_model.transformer_blocks.0.attn1.to_q.weight';
  const planned = (presets: readonly PresetName[]): PlannedTensor =>
    makePlan(ltx, defaultRecipe({ presets }), { toolVersion: '1' }).tensors.find(({ source }) => source.name === name)!;

  it('keeps what the recognised family keeps, and names it', () => {
    expect(planned(['auto'])).toMatchObject({
      action: 'keep',
      rule: 'family',
      reason: expect.stringMatching(/^Model family LTX-2.*first blocks/) as string,
    });
    expect(planned([]).action).toBe('quantize');
  });

  it('removes nothing', () => {
    const actions = KNOWN_FIXTURES.flatMap((fixture) =>
      makePlan(familyHeader(fixture.templates), defaultRecipe(), { toolVersion: '1' }).tensors.map(({ action }) => action),
    );
    expect(actions).not.toContain('remove');
  });
});
