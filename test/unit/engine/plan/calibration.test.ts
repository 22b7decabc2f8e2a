// Calibration files against the model that they are for: what is read, and what is refused in which words.
import { describe, expect, it } from 'vitest';
import { calibratedMeanOf, calibrationOf, calibrationWarnings, readCalibration } from '../../../../src/engine/plan/calibration';
import { headerOf, type TensorSpec } from '../../../support/headerOf';

const MODEL = headerOf({
  'model.layers.0.up.weight': ['BF16', 40, 24],
  'model.layers.0.up.bias': ['BF16', 40],
  'model.layers.1.up.weight': ['BF16', 40, 24],
  'conv.weight': ['F16', 8, 4, 3, 3],
});

const read = (tensors: Readonly<Record<string, TensorSpec>>, metadata: Readonly<Record<string, string>> = {}) =>
  readCalibration('/c.safetensors', headerOf(tensors, metadata), MODEL);

describe('a calibration file', () => {
  it('may have samples, moments and diagonals of either side, and leave layers out', () => {
    const calibration = read(
      {
        'model.layers.0.up.input': ['BF16', 100, 24],
        'model.layers.1.up.input_second_moment': ['F32', 24, 24],
        'model.layers.1.up.input_mean': ['F32', 24],
        'model.layers.1.up.output_diagonal': ['F64', 40],
        'conv.output_gradient': ['F16', 7, 8],
      },
      { 'model.layers.1.up.input_samples': '9000', samples: '300' },
    );
    expect(calibration.byWeight.get('model.layers.0.up.weight')?.inputs).toMatchObject({ kind: 'samples', samples: 100 });
    expect(calibration.byWeight.get('model.layers.1.up.weight')).toMatchObject({
      inputs: { kind: 'secondMoment', samples: 9000 },
      outputs: { kind: 'diagonal', samples: 300 },
    });
    expect(
      ['model.layers.0.up', 'model.layers.1.up', 'conv', 'other'].map((layer) => calibrationOf(calibration, `${layer}.weight`)),
    ).toEqual(['inputs', 'both', 'outputs', 'no layer']);
    expect(calibrationOf(undefined, 'conv.weight')).toBe('none');
    // Samples tell the mean as well; a moment alone does not.
    expect(calibratedMeanOf(calibration, 'model.layers.0.up.weight')?.name).toBe('model.layers.0.up.input');
    expect(calibratedMeanOf(calibration, 'model.layers.1.up.weight')?.name).toBe('model.layers.1.up.input_mean');
    expect(calibratedMeanOf(calibration, 'conv.weight')).toBeUndefined();
  });

  it('counts 512 samples where it does not say how many there were', () => {
    const calibration = read({ 'model.layers.0.up.input_diagonal': ['F32', 24] });
    expect(calibration.byWeight.get('model.layers.0.up.weight')?.inputs).toMatchObject({ kind: 'diagonal', samples: 512 });
  });

  it('takes samples before a moment of the same side', () => {
    const calibration = read({ 'conv.input_second_moment': ['F32', 36, 36], 'conv.input': ['F32', 5, 36] });
    expect(calibration.byWeight.get('conv.weight')?.inputs).toMatchObject({ kind: 'samples', samples: 5 });
  });

  it('takes the mean of samples before a recorded one, and none of a convolution in groups', () => {
    const tensors = { 'conv.input': ['F32', 5, 36], 'conv.input_mean': ['F32', 36] } as const;
    expect(calibratedMeanOf(read(tensors), 'conv.weight')?.name).toBe('conv.input');
    expect(calibratedMeanOf(read(tensors, { 'conv.groups': '1' }), 'conv.weight')?.name).toBe('conv.input');
    expect(calibratedMeanOf(read(tensors, { 'conv.groups': '4' }), 'conv.weight')).toBeUndefined();
    expect(() => read(tensors, { 'conv.groups': 'four' })).toThrow('/c.safetensors: the calibration file says "four" for "conv.groups"');
  });

  it('finds layers whose names lack the prefix of the file, where only one fits', () => {
    const calibration = read({ 'layers.0.up.input': ['F32', 3, 24], 'up.input': ['F32', 3, 24] });
    expect([...calibration.byWeight.keys()]).toEqual(['model.layers.0.up.weight']);
    expect(calibration.unmatched).toEqual(['up']);
  });

  it('finds layers of modules that were wrapped', () => {
    const calibration = read({ '_orig_mod.layers.0.up.input': ['F32', 3, 24], 'module.layers.1._orig_mod.up.input': ['F32', 3, 24] });
    expect([...calibration.byWeight.keys()]).toEqual(['model.layers.0.up.weight', 'model.layers.1.up.weight']);
    expect(calibrationWarnings(calibration)).toEqual([]);
  });

  it.each<readonly [string, Readonly<Record<string, TensorSpec>>, Readonly<Record<string, string>>, RegExp]>([
    [
      'an unknown kind',
      { 'conv.inputs': ['F32', 3, 36] },
      {},
      /"conv\.inputs" is of no known kind; a name is a layer's followed by one of \.input,/,
    ],
    ['no name before the kind', { '.input': ['F32', 3, 36] }, {}, /"\.input" is of no known kind/],
    ['whole numbers', { 'conv.input': ['I32', 3, 36] }, {}, /"conv\.input" is I32; statistics are floating-point numbers/],
    [
      'another width',
      { 'conv.input': ['F32', 3, 35] },
      {},
      /has shape \[3, 35\] instead of \[samples, 36\]: "conv\.weight" is \[8, 4, 3, 3\]/,
    ],
    ['a moment that is not square', { 'conv.input_second_moment': ['F32', 36, 35] }, {}, /instead of \[36, 36\]/],
    ['outputs of the inputs’ width', { 'conv.output_gradient': ['F32', 3, 36] }, {}, /instead of \[samples, 8\].*outputs go by its rows/],
    ['a mean of another size', { 'conv.input': ['F32', 3, 36], 'conv.input_mean': ['F32', 8] }, {}, /"conv\.input_mean" has shape \[8\]/],
    ['no samples', { 'conv.input': ['F32', 0, 36] }, {}, /has shape \[0, 36\]/],
    [
      'nothing of this model',
      { 'a.input': ['F32', 3, 36], 'b.input': ['F32', 3, 36] },
      {},
      /of another model: none of its 2 layers, such as "a"/,
    ],
    [
      'two names for one weight',
      { 'conv.input': ['F32', 3, 36], 'module.conv.input': ['F32', 3, 36] },
      {},
      /has two names for "conv\.weight": "conv" and "module\.conv"\. Remove one/,
    ],
    ['no tensors', {}, {}, /the calibration file has no tensors/],
    ['a count that is none', { 'conv.input_diagonal': ['F32', 36] }, { samples: '-3' }, /says "-3" for "samples" in its metadata/],
  ])('is refused for %s', (_what, tensors, metadata, message) => {
    expect(() => read(tensors, metadata)).toThrow(message);
    const refusal = thrownBy(() => read(tensors, metadata));
    expect(refusal).toMatchObject({ code: 'InvalidCalibration', details: { path: '/c.safetensors' } });
  });
});

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}
