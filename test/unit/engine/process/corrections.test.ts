// Calibrated conversions by the engine in its own process: mean outputs stay what they were, and verification knows why biases differ.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { weightValues } from '../../../../bench/model/dequantize';
import { findTensor, readTensorFile, tensorValues } from '../../../../bench/model/tensorFile';
import { openModel } from '../../../../src/engine/safetensors/modelSource';
import { engineScene } from '../../../support/engineScene';
import { writeModel, type ModelTensor } from '../../../support/modelFile';
import { writeShardedModel } from '../../../support/shardedModel';

const scene = engineScene();
const ROWS = 80;
const COLUMNS = 96;
const MODEL: readonly ModelTensor[] = [
  { name: 'layer.bias', dtype: 'F32', shape: [ROWS] },
  { name: 'layer.weight', dtype: 'BF16', shape: [ROWS, COLUMNS] },
  { name: 'other.weight', dtype: 'BF16', shape: [ROWS, COLUMNS] },
  { name: 'other.bias', dtype: 'F32', shape: [ROWS] },
];

/** Mean output of the layer over the calibration's samples, row by row. */
async function meanOutputs(path: string, calibration: string): Promise<readonly number[]> {
  const file = await readTensorFile(path);
  const samples = await readTensorFile(calibration);
  const inputs = tensorValues(samples, findTensor(samples, 'layer.input'));
  const mean = Array.from({ length: COLUMNS }, (_, column) => {
    let sum = 0;
    for (let i = column; i < inputs.length; i += COLUMNS) sum += inputs[i] ?? NaN;
    return (sum * COLUMNS) / inputs.length;
  });
  const weights = weightValues(file, 'layer.weight');
  const bias = tensorValues(file, findTensor(file, 'layer.bias'));
  return Array.from(bias, (value, row) =>
    mean.reduce((sum, input, column) => sum + input * (weights[row * COLUMNS + column] ?? NaN), value),
  );
}

async function distance(calibration: string, converted = scene.output): Promise<number> {
  const [before, after] = [await meanOutputs(scene.source, calibration), await meanOutputs(converted, calibration)];
  return Math.max(...before.map((value, row) => Math.abs(value - (after[row] ?? NaN))));
}

async function modelAndCalibration(): Promise<string> {
  await writeModel(scene.source, MODEL);
  const calibration = join(scene.folder, 'calibration.safetensors');
  const replace = Array.from({ length: 30 * COLUMNS }, (_, index) => ({ index, value: ((index * 37) % 101) / 101 + 0.2 }));
  await writeModel(calibration, [{ name: 'layer.input', dtype: 'F32', shape: [30, COLUMNS], replace }]);
  return calibration;
}

it('keeps the mean output of a calibrated layer, and verifies', async () => {
  const calibration = await modelAndCalibration();
  const report = await scene.convert(scene.request({}, { calibration }));
  expect(await distance(calibration)).toBeLessThan(1e-5);
  expect(report.tensors.find(({ name }) => name === 'layer.bias')).toMatchObject({
    action: 'keep',
    correction: { weight: 'layer.weight', mean: 'calibrated' },
  });
  expect(report.tensors.find(({ name }) => name === 'layer.bias')?.correction?.largestChange).toBeGreaterThan(1e-5);
  expect(report.tensors.find(({ name }) => name === 'other.bias')).not.toHaveProperty('correction');
  expect(report.notes.join()).toMatch(/1 bias stays as it is: nothing tells the mean/);
  const verified = await scene.verify();
  expect(verified).toMatchObject({ ok: true, problems: [] });
  expect(verified.tensors.map(({ name, state }) => `${name} ${state}`)).toContain('layer.bias corrected');
  expect(await scene.files()).toEqual(['calibration.safetensors', 'converted.safetensors', 'model.safetensors']);
});

it.each([undefined, 8_100])(
  'corrects the same biases where a model is in shards, in which they are with their weights, at most %s bytes',
  async (most) => {
    const calibration = await modelAndCalibration();
    await scene.convert(scene.request({}, { calibration }));
    const twin = await openModel(scene.output);
    const [folder, output] = [join(scene.folder, 'shards'), join(scene.folder, 'converted')];
    await mkdir(folder);
    const { index } = await writeShardedModel(folder, MODEL, MODEL.length);
    const request = scene.request({ source: index, output, ...(most === undefined ? {} : { maxShardBytes: most }) }, { calibration });
    const report = await scene.convert(request);
    expect(report.tensors.find(({ name }) => name === 'layer.bias')).toMatchObject({ correction: { weight: 'layer.weight' } });
    const converted = await openModel(output);
    const [bias, weight, stranger] = ['layer.bias', 'layer.weight', 'other.bias'].map((name) => converted.header.byName.get(name)!);
    expect(bias?.file).toBe(weight?.file);
    expect(await converted.readTensor(bias!)).toEqual(await twin.readTensor(twin.header.byName.get('layer.bias')!));
    if (most === undefined) expect(converted.files.length).toBe(MODEL.length - 1);
    expect(stranger?.file).not.toBe(bias?.file);
    await Promise.all([twin.close(), converted.close()]);
    const verified = await scene.verify({ converted: output, source: index });
    expect(verified).toMatchObject({ ok: true, problems: [] });
    expect(verified.tensors.map(({ name, state }) => `${name} ${state}`)).toContain('layer.bias corrected');
  },
);

it.each(['comfyui', 'compressed-tensors', 'plain'] as const)('reads back two codes in a byte as the layout %s has them', async (layout) => {
  const calibration = await modelAndCalibration();
  await scene.convert(scene.request({}, { calibration, layout, target: 'nvfp4' }));
  const numbers = join(scene.folder, 'numbers.safetensors');
  await scene.convert(scene.request({ source: scene.output, output: numbers, work: { kind: 'dequantize', dtype: 'F32' } }));
  expect(await distance(calibration, numbers)).toBeLessThan(1e-5);
});

it('tells of biases only whose layers are rounded, and of a correction only where there is one', async () => {
  const calibration = await modelAndCalibration();
  const kept = await scene.convert(scene.request({}, { calibration, overrides: [{ match: 'other.weight', action: 'keep' }] }));
  expect(kept.notes.join('\n')).not.toMatch(/stays as it is/);
  const overrides = [{ match: 'other.weight', action: 'quantize', rounding: 'nearest' }] as const;
  const nearest = await scene.convert(scene.request({ overwrite: 'replace' }, { calibration, overrides }));
  expect(nearest.notes).toContain('1 bias stays as it is: biases are corrected only with learned rounding.');

  await writeModel(scene.source, [
    { name: 'layer.weight', dtype: 'BF16', shape: [ROWS, COLUMNS], replace: [{ index: 3, value: NaN }] },
    { name: 'layer.bias', dtype: 'F32', shape: [ROWS] },
    { name: 'other.weight', dtype: 'BF16', shape: [ROWS, COLUMNS] },
  ]);
  const report = await scene.convert(scene.request({ overwrite: 'replace' }, { calibration }));
  const bias = report.tensors.find(({ name }) => name === 'layer.bias');
  expect(bias).not.toHaveProperty('correction');
  expect(bias?.reason).not.toMatch(/corrected/);
  expect(report.notes.join('\n')).not.toMatch(/stays as it is/);
});

it('leaves biases alone when told to', async () => {
  const calibration = await modelAndCalibration();
  const report = await scene.convert(scene.request({}, { calibration, biasCorrection: 'off' }));
  expect(await distance(calibration)).toBeGreaterThan(1e-4);
  expect(report.tensors.every((tensor) => !('correction' in tensor))).toBe(true);
});

it('takes no bias for a corrected one that is not named so, nor one that is not finite', async () => {
  const calibration = await modelAndCalibration();
  await scene.convert(scene.request({}, { calibration }));
  const { header } = await readTensorFile(scene.output);
  const bytes = await readFile(scene.output);
  const other = header.byName.get('other.bias')!;
  bytes.writeFloatLE(1, other.begin);
  await writeFile(scene.output, bytes);
  expect(await scene.verify()).toMatchObject({ ok: false });
  bytes.writeFloatLE(
    (await readFile(scene.source)).readFloatLE((await readTensorFile(scene.source)).header.byName.get('other.bias')!.begin),
    other.begin,
  );
  await writeFile(scene.output, bytes);
  expect(await scene.verify()).toMatchObject({ ok: true });
  const corrected = header.byName.get('layer.bias')!.begin;
  const correct = bytes.readFloatLE(corrected);
  for (const [value, problem] of [
    [NaN, /1 of its values are NaN or infinite/],
    [1e30, /more than rounding its layer's weight can ask for/],
  ] as const) {
    bytes.writeFloatLE(value, corrected);
    await writeFile(scene.output, bytes);
    const { ok, tensors } = await scene.verify();
    expect(ok).toBe(false);
    expect(tensors.find(({ name }) => name === 'layer.bias')?.problems.join()).toMatch(problem);
  }
  bytes.writeFloatLE(correct, corrected);
  await writeFile(scene.output, bytes);
  expect(await scene.verify()).toMatchObject({ ok: true });
});
