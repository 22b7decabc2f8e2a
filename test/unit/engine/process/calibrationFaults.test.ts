// Calibration files with faults, by the engine in its own process: none may harm a weight, and few need end a conversion.
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Recipe } from '../../../../src/engine/plan/recipe';
import { engineScene } from '../../../support/engineScene';
import { writeModel, type ModelTensor } from '../../../support/modelFile';

const scene = engineScene();
const SIZE = 96;
const INPUTS = 'layer.input_second_moment';
const OUTPUTS = 'layer.output_second_moment';

type Square = (row: number, column: number) => number;

/** Of a fixed sequence, in (−1, 1): the same for the same place. */
const noise = (place: number): number => ((2 * (((Math.sin(place * 12.9898 + 1) * 43758.5453) % 1) + 1)) % 2) - 1;

function square(name: string, entry: Square, dtype: 'F32' | 'F16' | 'BF16' = 'F32'): ModelTensor {
  const replace = Array.from({ length: SIZE ** 2 }, (_, index) => ({ index, value: entry(Math.floor(index / SIZE), index % SIZE) }));
  return { name, dtype, shape: [SIZE, SIZE], replace };
}

function samples(factor: number): ModelTensor {
  const replace = Array.from({ length: 40 * SIZE }, (_, index) => ({ index, value: factor * (noise(index) + (index % 7) / 7) }));
  return { name: 'layer.input', dtype: 'F32', shape: [40, SIZE], replace };
}

const symmetric = (row: number, column: number): number => noise(Math.max(row, column) * SIZE + Math.min(row, column));

async function convert(calibration: readonly ModelTensor[], metadata: Readonly<Record<string, string>> = {}, recipe: Partial<Recipe> = {}) {
  await writeModel(scene.source, [
    { name: 'layer.weight', dtype: 'BF16', shape: [SIZE, SIZE] },
    { name: 'layer.bias', dtype: 'F32', shape: [SIZE] },
    { name: 'other.weight', dtype: 'BF16', shape: [SIZE, SIZE] },
  ]);
  const path = join(scene.folder, 'calibration.safetensors');
  await writeModel(path, calibration, metadata);
  const events = await scene.run(scene.request({ overwrite: 'replace' }, { calibration: path, ...recipe }));
  const end = events.at(-1);
  return {
    path,
    error: end?.type === 'failed' ? end.error : undefined,
    tensor: (name: string) => (end?.type === 'done' ? end.report.tensors.find((tensor) => tensor.name === name) : undefined),
    warnings: end?.type === 'done' ? end.report.warnings : [],
  };
}

it.each<readonly [string, ModelTensor, RegExp]>([
  ['a moment of outputs that no outputs have', square(OUTPUTS, (i, j) => (i === j ? 1 : 5 * symmetric(i, j))), /is no second moment/],
  ['one of inputs that is not symmetric', square(INPUTS, (i, j) => (i === j ? 1 : i < j ? 0.5 : -0.5)), /is no second moment/],
  [
    'NaN beside the diagonal',
    square(INPUTS, (i, j) => (i === j ? 1 : i === 7 && j === 3 ? NaN : 0)),
    /has 1 value that is NaN or infinite/,
  ],
  [
    'infinity in a mean',
    { name: 'layer.input_mean', dtype: 'F32', shape: [SIZE], replace: [{ index: 5, value: Infinity }] },
    /NaN or infinite/,
  ],
  ['a negative mean of squares', { name: 'layer.input_diagonal', dtype: 'F32', shape: [SIZE] }, /has negative values/],
])('refuses %s before anything is written, and names file, tensor and remedy', async (_, tensor, problem) => {
  const { path, error } = await convert([tensor]);
  expect(error).toMatchObject({ code: 'InvalidCalibration', path, tensor: tensor.name });
  expect(error?.message).toMatch(problem);
  for (const part of [path, tensor.name, 'Collect this layer anew']) expect(error?.message).toContain(part);
  expect(await scene.files()).toEqual(['calibration.safetensors', 'model.safetensors']);
});

const ramp = (name: string, count: number, value: (index: number) => number): ModelTensor => ({
  name,
  dtype: 'F32',
  shape: count === SIZE ? [SIZE] : [count / SIZE, SIZE],
  replace: Array.from({ length: count }, (_, index) => ({ index, value: value(index) })),
});
const trueMean = (index: number): number => 0.5 * noise(index);

it.each<readonly [string, ModelTensor]>([
  ['samples', ramp('layer.input', 40 * SIZE, (index) => noise(index) + trueMean(index % SIZE))],
  ['a second moment', square(INPUTS, (i, j) => trueMean(i) * trueMean(j) + (i === j ? 1 : 0))],
  ['a second moment in BF16', square(INPUTS, (i, j) => (i === j ? 1 + trueMean(i) ** 2 : 0), 'BF16')],
  ['a diagonal', ramp('layer.input_diagonal', SIZE, (index) => trueMean(index) ** 2 + 1)],
])('refuses a recorded mean that %s contradict', async (_, inputs) => {
  const meanOf = (shift: number): ModelTensor => ramp('layer.input_mean', SIZE, (index) => trueMean(index) + (index === 5 ? shift : 0));
  expect((await convert([inputs, meanOf(0)])).error).toBeUndefined();
  const { path, error } = await convert([inputs, meanOf(100)]);
  expect(error).toMatchObject({ code: 'InvalidCalibration', path, tensor: 'layer.input_mean' });
  for (const part of [path, 'layer.input_mean', inputs.name, 'input 5', 'Collect this layer anew']) expect(error?.message).toContain(part);
});

it('goes by samples where a recorded mean differs from theirs, and says so', async () => {
  const inputs = ramp('layer.input', 400 * SIZE, (index) => noise(index) + trueMean(index % SIZE));
  const change = async (...means: readonly ModelTensor[]) => {
    const { tensor, warnings } = await convert([inputs, ...means]);
    return { change: tensor('layer.bias')?.correction?.largestChange, warnings };
  };
  const alone = await change();
  expect(alone.change).toBeGreaterThan(0);
  expect(await change(ramp('layer.input_mean', SIZE, (index) => trueMean(index)))).toEqual(alone);
  const other = await change(ramp('layer.input_mean', SIZE, (index) => trueMean(index) + 0.3));
  expect(other.change).toBe(alone.change);
  expect(other.warnings.join('\n')).toMatch(/"layer\.input_mean" is not that of the samples in "layer\.input", which are what counts/);
});

it.each([
  [INPUTS, 'input'],
  [OUTPUTS, 'output'],
])('damps a %s more that lost its definiteness to rounding, and says so', async (name, side) => {
  // All of one direction, but for next to nothing: what BF16 rounds off is larger than the rest.
  const direction = (i: number): number => 1.3 + 0.7 * noise(i);
  const moment = square(name, (i, j) => direction(i) * direction(j) * (i === j ? 1.0001 : 1) * (side === 'input' ? 1 : 1e-7), 'BF16');
  const { tensor, warnings, error } = await convert([moment], { samples: '10000000' });
  expect(error).toBeUndefined();
  const found = tensor('layer.weight');
  expect(found?.relativeError).toBeLessThan(0.1);
  expect(found?.objective).toBeGreaterThan(0);
  expect(found?.objective).toBeLessThan(found?.objectiveNearest ?? 0);
  if (side === 'input') expect(warnings.join('\n')).toMatch(new RegExp(`"${name}" is not positive definite.*damping was raised`));
});

it.each([
  [INPUTS, 'inputs', { inputs: 'gram' }],
  [OUTPUTS, 'outputs', { outputs: 'gram' }],
] as const)('does without a %s of zeros for that layer, and says so', async (name, side, statistics) => {
  const { path, tensor, warnings } = await convert([square(name, () => 0), { name: 'other.input', dtype: 'F32', shape: [9, SIZE] }]);
  expect(tensor('layer.weight')?.statistics).toMatchObject(statistics);
  expect(tensor('layer.weight')?.statistics?.reason).toMatch(new RegExp(`${side} are all zero in the calibration file`));
  expect(tensor('other.weight')?.statistics).toMatchObject({ inputs: 'calibrated' });
  const said = warnings.join('\n');
  for (const part of [path, name, 'layer.weight', 'all zero']) expect(said).toContain(part);
});

it('asks for a damaged file to be collected anew, and names it', async () => {
  const { path } = await convert([square(INPUTS, (i, j) => (i === j ? 1 : 0))]);
  for (const length of [5, 100, 9000]) {
    await truncate(path, length);
    const [end] = (await scene.run(scene.request({ overwrite: 'replace' }, { calibration: path }))).slice(-1);
    const error = end?.type === 'failed' ? end.error : undefined;
    expect(error).toMatchObject({ code: 'InvalidCalibration', path });
    expect(error?.message).toMatch(/^.*: .* The calibration file cannot be used: collect it anew\.$/);
    expect(error?.message).toContain(path);
    expect(error?.message).not.toMatch(/download/);
    await convert([square(INPUTS, (i, j) => (i === j ? 1 : 0))]);
  }
});

it('gives samples of any unit the same objective', async () => {
  const ratios: number[] = [];
  for (const factor of [1, 1e18, 1e-21]) {
    const { tensor } = await convert([samples(factor)], {}, { numIter: 3 });
    const { objective = NaN, objectiveNearest = NaN, sweeps = Infinity } = tensor('layer.weight') ?? {};
    ratios.push(objective / objectiveNearest);
    expect(sweeps).toBeLessThanOrEqual(3);
  }
  for (const ratio of ratios) expect(ratio).toBeCloseTo(ratios[0] ?? NaN, 3);
  expect(ratios[0]).toBeLessThan(0.99);
});

it('takes a recorded mean alone for the bias, and tells of layers that the model does not have', async () => {
  const mean: ModelTensor = { name: 'module.layer.input_mean', dtype: 'F32', shape: [SIZE] };
  const { path, tensor, warnings } = await convert([mean, { name: 'stranger.input', dtype: 'F32', shape: [2, 3] }]);
  expect(tensor('layer.bias')?.correction).toMatchObject({ weight: 'layer.weight', mean: 'calibrated' });
  expect(warnings).toContain(`${path}: 1 of 2 layers of the calibration file is not in this model, such as "stranger".`);
});
