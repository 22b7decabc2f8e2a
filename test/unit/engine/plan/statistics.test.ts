// Which statistics steer a layer's rounding, from where its mean input is known, and which biases are corrected.
import { describe, expect, it } from 'vitest';
import { modelSeen } from '../../../../src/engine/families/modelSeen';
import { modelFamily } from '../../../../src/engine/plan/modelFamily';
import { plainStyle } from '../../../../src/cli/output/terminal';
import { planText } from '../../../../src/cli/output/planText';
import { readCalibration } from '../../../../src/engine/plan/calibration';
import { statisticsOf } from '../../../../src/engine/job/statisticsTerms';
import { makePlan } from '../../../../src/engine/plan/makePlan';
import { calibrationOfRecipe } from '../../../../src/engine/plan/readCalibrationFile';
import { defaultRecipe, type Recipe } from '../../../../src/engine/plan/recipe';
import type { DeviceKind } from '../../../../src/engine/plan/statistics';
import { headerOf, type TensorSpec } from '../../../support/headerOf';

const TENSORS: Readonly<Record<string, TensorSpec>> = {
  'text_model.embeddings.token_embedding.weight': ['F16', 49408, 768],
  'text_model.embeddings.position_embedding.weight': ['F16', 77, 768],
  ...Object.fromEntries(
    [0, 1].flatMap((layer) => {
      const at = `text_model.encoder.layers.${layer}.`;
      const linear = (name: string, rows: number, columns: number): [string, TensorSpec][] => [
        [`${at}${name}.weight`, ['F16', rows, columns]],
        [`${at}${name}.bias`, ['F16', rows]],
      ];
      const norm = (name: string): [string, TensorSpec][] => [
        [`${at}${name}.weight`, ['F16', 768]],
        [`${at}${name}.bias`, ['F16', 768]],
      ];
      return [
        ...['q_proj', 'k_proj', 'v_proj', 'out_proj'].flatMap((name) => linear(`self_attn.${name}`, 768, 768)),
        ...linear('mlp.fc1', 3072, 768),
        ...linear('mlp.fc2', 768, 3072),
        ...norm('layer_norm1'),
        ...norm('layer_norm2'),
      ];
    }),
  ),
  'text_model.final_layer_norm.weight': ['F16', 768],
  'stranger.weight': ['F16', 64, 64],
  'stranger.bias': ['F16', 64],
};
const MODEL = headerOf(TENSORS);
const FC1 = 'text_model.encoder.layers.1.mlp.fc1';

function plan(recipe: Partial<Recipe> = {}, calibration?: Readonly<Record<string, TensorSpec>>, device: DeviceKind = 'cpu') {
  const read = calibration === undefined ? {} : { calibration: readCalibration('/c', headerOf(calibration), MODEL) };
  const made = makePlan(MODEL, defaultRecipe(recipe), { toolVersion: '1', device, ...read });
  const { tensors, output } = made;
  const facts = {
    source: '/m',
    output: '/o',
    bytesIn: 1,
    bytesOut: 1,
    filesIn: 1,
    filesOut: 1,
    model: modelSeen(modelFamily(MODEL).recognition),
  };
  const of = (name: string) => tensors.find(({ source }) => source.name === name);
  return {
    statistics: (layer: string) => of(`${layer}.weight`)?.quantization?.statistics,
    bias: (layer: string) => of(`${layer}.bias`),
    corrected: tensors.filter(({ correction }) => correction !== undefined).length,
    groups: planText(made, facts, 'summary', plainStyle),
    header: new TextDecoder().decode(output.headerBytes),
  };
}

describe('statistics', () => {
  it('are propagated where the architecture is known, and gram elsewhere', () => {
    const { statistics } = plan();
    expect(statistics(FC1)).toMatchObject({ inputs: 'propagated', outputs: 'gram', mean: 'propagated' });
    expect(statistics('stranger')).toMatchObject({ inputs: 'gram', outputs: 'gram', mean: 'unknown' });
  });

  it('are calibrated where the file has the layer, and say why elsewhere', () => {
    const { statistics } = plan(
      { statistics: 'calibrated' },
      { 'stranger.input': ['F32', 9, 64], 'stranger.output_gradient': ['F32', 9, 64] },
    );
    expect(statistics('stranger')).toMatchObject({ inputs: 'calibrated', outputs: 'calibrated', mean: 'calibrated' });
    expect(statistics(FC1)).toMatchObject({
      inputs: 'propagated',
      reason: expect.stringMatching(/calibration file does not have/) as unknown,
    });
  });

  it('are of the inputs alone on a GPU, where sides are left to auto', () => {
    const onGpu = (recipe: Partial<Recipe>) => plan(recipe, undefined, 'cuda');
    const { statistics, corrected } = onGpu({});
    expect(statistics(FC1)).toEqual({ ...plan().statistics(FC1), outputs: 'none' });
    expect(statistics('stranger')).toMatchObject({ inputs: 'gram', outputs: 'none', mean: 'unknown' });
    expect(corrected).toBe(plan().corrected);
    expect(onGpu({ sides: 'both' }).statistics(FC1)).toEqual(plan().statistics(FC1));
    const recorded = { [`${FC1}.input`]: ['F32', 9, 768], [`${FC1}.output_gradient`]: ['F32', 9, 3072] } as const;
    expect(plan({}, recorded, 'cuda').statistics(FC1)).toMatchObject({ inputs: 'calibrated', outputs: 'calibrated', beside: 'propagated' });
  });

  it('are not calibrated where the file has outputs alone, and says so', () => {
    const { statistics } = plan({}, { 'stranger.output_gradient': ['F32', 9, 64] });
    expect(statistics('stranger')).toMatchObject({
      inputs: 'gram',
      outputs: 'calibrated',
      reason: 'Gram: the calibration file has only outputs of this layer.',
    });
  });

  it('have a reason that is true of the layer, of its file and of both sides', () => {
    const reason = (file: Readonly<Record<string, TensorSpec>>, layer: string, recipe: Partial<Recipe> = {}) =>
      plan(recipe, file).statistics(layer)?.reason;
    const gradient = { 'stranger.output_gradient': ['F32', 9, 64] } as const;
    expect(reason(gradient, 'stranger', { statistics: 'gram' })).toBe('Gram: of inputs, the recipe asks for the weights alone.');
    expect(reason({ [`${FC1}.input`]: ['F32', 9, 768] }, 'stranger')).toBe(
      'Gram: the calibration file does not have inputs of this layer.',
    );
    expect(reason(gradient, FC1)).toMatch(/^Propagated: the calibration file does not have inputs of this layer; samples reach it/);
    expect(reason({ 'stranger.input_diagonal': ['F32', 64] }, 'stranger')).toMatch(/has only mean squares .*the weights count beside them/);
    expect(reason({ [`${FC1}.input_diagonal`]: ['F32', 768] }, FC1)).toMatch(/only mean squares .*propagated samples count beside them/);
    expect(reason({ [`${FC1}.input`]: ['F32', 9, 768] }, FC1)).toMatch(/they are few, so propagated samples count beside them/);
    expect(reason({ 'stranger.input': ['F32', 9, 64] }, 'stranger')).toMatch(/they are few, so the weights count beside them/);
    expect(reason({ 'stranger.input': ['F32', 512, 64] }, 'stranger')).toBe('Calibrated: the calibration file has inputs of this layer.');
  });

  it('give few recorded inputs the weights beside them, where nothing else is known, and many none', () => {
    const terms = (samples: number) => {
      const calibration = readCalibration('/c', headerOf({ 'stranger.input': ['F32', samples, 64] }), MODEL);
      const made = makePlan(MODEL, defaultRecipe({ sides: 'input' }), { toolVersion: '1', device: 'cpu', calibration });
      const { quantization } = made.tensors.find(({ source }) => source.name === 'stranger.weight')!;
      const { inputs } = statisticsOf(quantization!, { calibration: { calibration, file: 1 }, propagated: new Map(), means: new Map() });
      return inputs?.terms.map(({ kind, weight }) => [kind, weight]);
    };
    expect(terms(16)).toEqual([
      ['samples', 1],
      ['gram', 1],
    ]);
    expect(terms(256)).toEqual([
      ['samples', 1],
      ['gram', expect.closeTo(0.1)],
    ]);
    expect(terms(512)).toEqual([['samples', 1]]);
  });

  it('cannot be calibrated without a file', async () => {
    const refused = calibrationOfRecipe(defaultRecipe({ statistics: 'calibrated' }), MODEL);
    await expect(refused).rejects.toMatchObject({
      code: 'InvalidRecipe',
      message: expect.stringMatching(/Choose one, or the statistics auto/) as unknown,
    });
  });

  it('are those that the recipe asks for', () => {
    expect(plan({ statistics: 'gram', sides: 'input' }).statistics(FC1)).toMatchObject({
      inputs: 'gram',
      outputs: 'none',
      mean: 'unknown',
    });
    expect(plan({ topK: 32 }).statistics(FC1)).toMatchObject({ inputs: 'propagated', outputs: 'none' });
    expect(plan({ rounding: 'nearest' }).statistics(FC1)).toBeUndefined();
  });
});

describe('biases', () => {
  it('are corrected where the mean input of their layer is known, and named in the header', () => {
    const { bias, corrected, header, groups } = plan({}, { 'stranger.input_diagonal': ['F32', 64] });
    expect(corrected).toBe(12);
    expect(bias(FC1)).toMatchObject({
      action: 'keep',
      reason: 'Bias: kept, and corrected by the propagated mean input of its layer.',
      correction: { weight: `${FC1}.weight`, mean: 'propagated' },
    });
    // Those that stay as they are are told apart from them, and the example is true of its group.
    expect(groups).toMatch(/Bias: kept, and corrected[^]*Bias: it is added/);
    // A diagonal tells no mean, and norms have no weights that are rounded.
    expect(bias('stranger')).not.toHaveProperty('correction');
    expect(bias('text_model.encoder.layers.0.layer_norm1')).not.toHaveProperty('correction');
    expect(header).toContain('fp8_quantizer.corrected_biases');
    expect(header).toContain(`\\"${FC1}.bias\\"`);
  });

  it.each<readonly [string, Partial<Recipe>]>([
    ['the recipe says so', { biasCorrection: 'off' }],
    ['only the weights are asked', { statistics: 'gram' }],
    ['rounding is not learned', { rounding: 'nearest' }],
    ['an override keeps them', { overrides: [{ match: '*.bias', action: 'keep' }] }],
    ['their weights are kept', { overrides: [{ match: '*.weight', action: 'keep' }] }],
  ])('stay as they are where %s', (_why, recipe) => {
    const { corrected, header } = plan(recipe);
    expect(corrected).toBe(0);
    expect(header).not.toContain('corrected_biases');
  });
});
