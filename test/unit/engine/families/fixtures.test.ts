/** Every family on the names and shapes of its released models: recognised as itself and as nothing else, and planned as expected. */
import { describe, expect, test } from 'vitest';
import { FAMILIES } from '../../../../src/engine/families/families';
import { recognise } from '../../../../src/engine/families/recognise';
import { isSensitiveName } from '../../../../src/engine/families/sensitiveNames';
import { makePlan } from '../../../../src/engine/plan/makePlan';
import { defaultRecipe } from '../../../../src/engine/plan/recipe';
import { KNOWN_FIXTURES, UNKNOWN_FIXTURES } from '../../../fixtures/families/all';
import { headerOf } from '../../../fixtures/families/template';

describe.each(KNOWN_FIXTURES)('$model', ({ family, naming, templates, expected }) => {
  const header = headerOf(templates);
  const recognition = recognise(header);

  test('is recognised as its family, with its prefix, naming and evidence', () => {
    expect(recognition).toMatchObject({ family, naming, prefix: templates[0].prefix });
    expect(recognition.evidence.length).toBeGreaterThanOrEqual(3);
    for (const sentence of recognition.evidence) expect(sentence).toMatch(/^`[^`]+` is \[[\d, ]*\]\.$/);
  });

  test('has one component for each part of the file, and none else', () => {
    const parts = templates.filter(({ prefix }, index) => index === 0 || prefix !== '').map(({ prefix }) => prefix);
    expect([...recognition.components.map(({ prefix }) => prefix)].sort()).toEqual([...parts].sort());
  });

  test('is planned as expected', () => {
    // By itself no family takes anything away.
    const presets = expected.removed > 0 ? (['auto', 't5xxl'] as const) : (['auto'] as const);
    const { tensors, warnings } = makePlan(header, defaultRecipe({ presets }), { toolVersion: '1' });
    const actions = new Map(tensors.map(({ source, action }) => [source.name, action]));
    const count = (wanted: string) => [...actions.values()].filter((action) => action === wanted).length;
    expect({ quantized: count('quantize'), kept: count('keep'), removed: count('remove') }).toEqual({
      quantized: expected.quantized,
      kept: expected.kept,
      removed: expected.removed,
    });
    const named = Object.keys(expected.named).map((name) => [name, actions.get(templates[0].prefix + name)]);
    expect(Object.fromEntries(named)).toEqual(expected.named);
    const isRenamed = warnings.some((warning) => warning.includes('named as in diffusers'));
    expect(isRenamed).toBe(naming === 'diffusers' && expected.quantized > 0);
  });
});

test('what would look sensitive in an unknown model is what families keep, and nothing is said of it where one is known', () => {
  const quantized = KNOWN_FIXTURES.flatMap(({ templates }) => {
    const { tensors, warnings } = makePlan(headerOf(templates), defaultRecipe(), { toolVersion: '1' });
    expect(warnings.join('\n')).not.toMatch(/not recognised/);
    return tensors.flatMap(({ action, source: { name } }) => (action === 'quantize' && isSensitiveName(name) ? [name] : []));
  });
  // Qwen-Image has a third of itself in modulation.
  expect(quantized.filter((name) => !/^transformer_blocks\.\d+\.(img|txt)_mod\.1\.weight$/.test(name))).toEqual([]);
});

test('what is left of an invented FLUX is told of', () => {
  const { templates } = UNKNOWN_FIXTURES.find(({ model }) => model === 'An invented FLUX of another width')!;
  const { warnings } = makePlan(headerOf(templates), defaultRecipe(), { toolVersion: '1' });
  expect(warnings).toEqual([expect.stringMatching(/^The model is not recognised, and 35 of its tensors look like embedders, modulation/)]);
});

test('what a family never needs is named in a warning, and stays unless it is asked for', () => {
  const { templates } = KNOWN_FIXTURES.find(({ model }) => model === 'T5 v1.1 Large with its decoder')!;
  const { tensors, warnings } = makePlan(headerOf(templates), defaultRecipe(), { toolVersion: '1' });
  expect(tensors.filter(({ action }) => action === 'remove')).toEqual([]);
  expect(warnings).toEqual([
    expect.stringMatching(
      /^T5 .*: text encoding uses the encoder alone, and 339 tensors are not of it: the preset "T5-XXL text encoder" leaves them out\.$/,
    ),
  ]);
});

test('every family has a fixture', () => {
  const covered = new Set(KNOWN_FIXTURES.flatMap(({ templates }) => recognise(headerOf(templates)).components.map(({ family }) => family)));
  expect(FAMILIES.map(({ id }) => id).filter((id) => !covered.has(id))).toEqual([]);
});

test('every way to recognise a family has a fixture', () => {
  const seen = new Set(
    KNOWN_FIXTURES.flatMap(({ templates }) => recognise(headerOf(templates)).components.map(({ family, naming }) => `${family} ${naming}`)),
  );
  const told = FAMILIES.flatMap(({ id, signatures }) => signatures.map(({ naming }) => `${id} ${naming}`));
  expect([...new Set(told)].filter((way) => !seen.has(way))).toEqual([]);
});

describe.each(UNKNOWN_FIXTURES)('$model', ({ templates }) => {
  test('is unknown, and it is said why', () => {
    const recognition = recognise(headerOf(templates));
    expect(recognition).toMatchObject({ family: 'unknown', naming: 'unknown', components: [] });
    expect(recognition.evidence[0]).toMatch(/^None of the \d+ known families has tensors of these names and shapes\.$/);
    expect(recognition.unrecognised.tensorCount).toBeGreaterThan(0);
  });
});
