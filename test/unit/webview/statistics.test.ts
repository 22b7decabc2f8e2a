/** The panel's fields for statistics: what they offer, and what they say of it. */
import { describe, expect, it } from 'vitest';
import { BIAS_CORRECTIONS, defaultRecipe, SIDES, STATISTICS } from '../../../src/engine/plan/recipe';
import {
  BIAS_OFFERS,
  biasHelp,
  calibrationHelp,
  samplesHelp,
  SIDES_OFFERS,
  sidesHelp,
  STATISTICS_OFFERS,
  statisticsHelp,
  statisticsWords,
} from '../../../src/webview/panel/statistics';
import type { Options } from '../../../src/webview/protocol/panelApi';

const OPTIONS: Options = {
  preset: 'auto',
  rounding: 'learned',
  topK: 'full',
  numIter: 500,
  calibSamples: 3072,
  statistics: 'auto',
  sides: 'auto',
  calibration: '',
  biasCorrection: 'auto',
  target: 'float8_e4m3fn',
  granularity: 'auto',
  blockSize: [128, 128],
  layout: 'comfyui',
  convolutions: 'keep',
  embeddings: 'keep',
  quantized: 'keep',
  device: 'auto',
  threads: 0,
  output: '',
};
const HELP = [statisticsHelp, sidesHelp, biasHelp, samplesHelp, calibrationHelp];

describe('the fields for statistics', () => {
  it('offer everything that a recipe can say', () => {
    expect(STATISTICS_OFFERS.map(({ value }) => value)).toEqual(STATISTICS);
    expect(SIDES_OFFERS.map(({ value }) => value)).toEqual(SIDES);
    expect(BIAS_OFFERS.map(({ value }) => value)).toEqual(BIAS_CORRECTIONS);
  });

  it('explain every choice in a line of its own, which fits', () => {
    const lines = [
      ...STATISTICS.map((statistics) => statisticsHelp({ ...OPTIONS, statistics, calibration: '/c' })),
      ...SIDES.map((sides) => sidesHelp({ ...OPTIONS, sides })),
      ...BIAS_CORRECTIONS.map((biasCorrection) => biasHelp({ ...OPTIONS, biasCorrection })),
    ];
    expect(new Set(lines).size).toBe(STATISTICS.length + SIDES.length + BIAS_CORRECTIONS.length);
    for (const line of lines) expect(line).toMatch(/^[^\n]{10,66}\.$/);
  });

  it('say that nothing comes of them where rounding is not learned', () => {
    const lines = (rounding: Options['rounding']): readonly string[] =>
      HELP.map((help) => help({ ...OPTIONS, rounding })).filter((line) => line !== '');
    expect(lines('nearest')).toEqual(['Nearest rounding goes by no statistics.']);
    expect(lines('tpec')).toEqual(['TPEC rounding goes by no statistics.']);
  });

  it('are told beside the heading where they differ from the default', () => {
    expect(statisticsWords(OPTIONS)).toBe('Automatic');
    expect(statisticsWords({ ...OPTIONS, rounding: 'nearest' })).toBe('without effect');
    expect(
      statisticsWords({
        ...OPTIONS,
        statistics: 'calibrated',
        sides: 'both',
        calibSamples: 1024,
        calibration: '/models/inputs.gguf',
        biasCorrection: 'off',
      }),
    ).toBe('Real inputs from a file · inputs and outputs · 1,024 samples · inputs.gguf · no bias correction');
    expect(statisticsWords({ ...OPTIONS, statistics: 'gram', calibSamples: 1024 })).toBe('Weights alone');
    expect(statisticsWords({ ...OPTIONS, calibSamples: defaultRecipe().calibSamples })).toBe('Automatic');
  });

  it('tell what a choice lacks, and what it makes useless', () => {
    expect(statisticsHelp({ ...OPTIONS, statistics: 'calibrated' })).toBe('Choose a calibration file below.');
    expect(samplesHelp({ ...OPTIONS, statistics: 'gram' })).toBe('The weights alone need none.');
    expect(samplesHelp({ ...OPTIONS, calibration: '/c.safetensors' })).toBe('Only for layers that the file lacks or says little of.');
    expect(samplesHelp({ ...OPTIONS, calibration: '/c.safetensors', statistics: 'propagated' })).toContain('sent through the model');
    expect(calibrationHelp({ ...OPTIONS, calibration: '/c.safetensors' })).toBe('/c.safetensors');
    expect(calibrationHelp({ ...OPTIONS, calibration: '/c.safetensors', statistics: 'gram' })).toContain('not asked for');
  });
});
