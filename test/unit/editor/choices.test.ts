/** The choices for a file: what was stored, what is chosen next, and what a forecast makes of it. */
import { describe, expect, it } from 'vitest';
import { forecast, rateOf, sweepsSentence } from '../../../src/editor/conversion/forecast';
import {
  isEmpty,
  NO_CHOICES,
  parseChoices,
  presetsOf,
  presetValue,
  recipeOf,
  withOptions,
  withOverride,
} from '../../../src/editor/recipe/choices';
import type { JobReport } from '../../../src/engine/job/report';
import { makePlan } from '../../../src/engine/plan/makePlan';
import { defaultRecipe } from '../../../src/engine/plan/recipe';
import { parseRecipeFile, recipeFileText } from '../../../src/engine/plan/recipeFile';
import { headerOf } from '../../support/headerOf';

describe('choices', () => {
  it('come back as they were stored', () => {
    const choices = withOptions(NO_CHOICES, {
      rounding: 'nearest',
      device: 'cuda:0',
      threads: 2,
      output: '/a.safetensors',
      preset: 'none',
    });
    expect(parseChoices(JSON.parse(JSON.stringify(choices)))).toEqual(choices);
    expect(recipeOf({ numIter: 7 }, choices)).toMatchObject({ rounding: 'nearest', presets: [], numIter: 7 });
  });

  it.each([undefined, null, 7, { recipe: { rounding: 'best' } }, { recipe: {}, threads: -1, output: 3 }])(
    'are none where they make no sense: %j',
    (stored) => {
      expect(isEmpty(parseChoices(stored))).toBe(true);
    },
  );

  it('give each rounding its own rank, and an empty name back to the default', () => {
    const ranked = withOptions(NO_CHOICES, { topK: 8, output: '/a' });
    expect(recipeOf({}, withOptions(ranked, { rounding: 'tpec' })).topK).toBe(1);
    expect(recipeOf({}, withOptions(ranked, { numIter: 9 })).topK).toBe(8);
    expect(withOptions(ranked, { output: '' }).output).toBeUndefined();
    expect(withOptions(ranked, { threads: 1 }).output).toBe('/a');
  });

  it('let go of the size of blocks with the blocks', () => {
    const blocks = withOptions(NO_CHOICES, { granularity: 'block', blockSize: [256, 256] });
    expect(recipeOf({}, withOptions(blocks, { layout: 'huggingface' })).blockSize).toEqual([256, 256]);
    expect(recipeOf({}, withOptions(blocks, { granularity: 'auto' })).blockSize).toEqual([128, 128]);
    expect(recipeOf({}, withOptions(blocks, { target: 'int8', granularity: 'auto' })).blockSize).toEqual([128, 128]);
    expect(recipeOf({}, withOptions(blocks, { granularity: 'block', blockSize: [64, 64] })).blockSize).toEqual([64, 64]);
  });

  it('keep what steers the rounding with the workspace, and in a recipe file', () => {
    const steered = { statistics: 'propagated', sides: 'both', biasCorrection: 'off', calibSamples: 512 } as const;
    const choices = withOptions(NO_CHOICES, { ...steered, calibration: '/models/calibration.safetensors' });
    const wanted = { ...steered, calibration: '/models/calibration.safetensors' };
    expect(recipeOf({}, parseChoices(JSON.parse(JSON.stringify(choices))))).toMatchObject(wanted);
    expect(parseRecipeFile(recipeFileText(recipeOf({}, choices)), 'mine.fp8recipe.json')).toMatchObject(wanted);
  });

  it('go without a calibration file again once it is cleared, whatever the settings say', () => {
    const cleared = withOptions(withOptions(NO_CHOICES, { calibration: '/a.safetensors' }), { calibration: '' });
    expect(recipeOf({ calibration: '/b.safetensors' }, parseChoices(JSON.parse(JSON.stringify(cleared)))).calibration).toBeNull();
  });

  it('name presets in one word', () => {
    for (const presets of [[], ['auto'], ['auto', 't5xxl']] as const) expect(presetsOf(presetValue(presets))).toEqual(presets);
  });
});

describe('an override', () => {
  it('takes the place of the one before, and is gone after a reset', () => {
    const names = ['a*', 'b', 'c'];
    const first = withOverride([], { target: { names: ['a*', 'b'] }, action: 'keep' }, names);
    expect(first).toEqual([
      { match: 'a\\*', action: 'keep' },
      { match: 'b', action: 'keep' },
    ]);
    const second = withOverride(first, { target: { names: ['a*'] }, action: 'remove' }, names);
    expect(second.at(-1)).toEqual({ match: 'a\\*', action: 'remove' });
    expect(second).toHaveLength(2);
    expect(withOverride(second, { target: { pattern: 'b' }, action: 'reset' }, names)).toHaveLength(1);
  });

  it('is refused where its pattern cannot be read', () => {
    expect(() => withOverride([], { target: { pattern: '/(/' }, action: 'keep' }, [])).toThrow(/not a regular expression/);
  });
});

describe('a forecast', () => {
  const header = headerOf({ 'a.weight': ['BF16', 2048, 1024], 'b.weight': ['BF16', 512, 256] });
  const plan = makePlan(header, defaultRecipe(), { toolVersion: '1' });
  const report: JobReport = {
    tool: { name: 't', version: '1' },
    source: '/a',
    output: '/b',
    model: { family: 'unknown', naming: 'unknown', prefix: '', evidence: [] },
    recipe: plan.recipe,
    tensors: header.tensors.map(({ name, dtype, shape, begin, end }, index) => ({
      name,
      action: 'quantize',
      reason: '',
      shape,
      sourceDtype: dtype,
      bytesIn: end - begin,
      bytesOut: 1,
      sweeps: 4 + index,
      ...(plan.tensors[index]?.quantization?.statistics === undefined ? {} : { statistics: plan.tensors[index].quantization.statistics }),
      seconds: 1,
    })),
    warnings: [],
    notes: [],
    summary: {
      bytesIn: 1,
      bytesOut: 1,
      counts: { quantize: 2, keep: 0, remove: 0 },
      relativeError: 0,
      seconds: { total: 12, plan: 1, convert: 10, finish: 1, read: 0, compute: 0, write: 0, copy: 0 },
      device: 'cpu',
      deviceName: 'CPU',
      threads: 1,
      peakMemoryBytes: 5e8,
    },
  };

  it('of the same plan is what the last conversion came to', () => {
    const { seconds, memoryBytes } = forecast(plan, 'cpu', rateOf(report));
    expect(seconds).toBeCloseTo(12, 6);
    expect(memoryBytes).toBeCloseTo(5e8, 0);
  });

  it('is more with both sides than with one', () => {
    const secondsOf = (sides: 'input' | 'both'): number =>
      forecast(makePlan(header, defaultRecipe({ sides }), { toolVersion: '1' }), 'cpu', rateOf(report)).seconds;
    expect(secondsOf('both')).toBeCloseTo(12, 6);
    expect(secondsOf('input')).toBeLessThan(7);
  });

  it('is less for less work, and learns nothing from a conversion that was over at once', () => {
    const nearest = makePlan(header, defaultRecipe({ rounding: 'nearest' }), { toolVersion: '1' });
    expect(forecast(nearest, 'cpu', undefined).seconds).toBeLessThan(forecast(plan, 'cpu', undefined).seconds);
    const short = { ...report, summary: { ...report.summary, seconds: { ...report.summary.seconds, convert: 0.1 } } };
    expect(rateOf(short)).toBeUndefined();
  });

  it('says how far the optimiser went', () => {
    expect(sweepsSentence(report)).toBe('On the last model 5 sweeps ran.');
    expect(sweepsSentence({ ...report, recipe: defaultRecipe({ rounding: 'nearest' }) })).toBeUndefined();
  });
});
