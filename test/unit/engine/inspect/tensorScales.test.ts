// By what a quantized tensor's elements count, and that a tensor whose scales are many is told of rather than compared wrongly.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTensorScale } from '../../../../src/engine/inspect/tensorScales';
import { openSafetensors, type SafetensorsFile } from '../../../../src/engine/safetensors/reader';
import { modelBytes, type ModelTensor } from '../../../support/modelFile';
import { temporaryFolder, type TemporaryFolder } from '../../../support/temporaryFolder';

const one = (name: string, value: number, shape: readonly number[] = []): ModelTensor => ({
  name,
  dtype: 'F32',
  shape,
  replace: [{ index: 0, value }],
});
const weight = (layer: string, dtype: ModelTensor['dtype'] = 'F8_E4M3'): ModelTensor => ({
  name: `${layer}.weight`,
  dtype,
  shape: [8, 16],
});

const MODEL: readonly ModelTensor[] = [
  weight('tensor'),
  one('tensor.weight_scale', 0.25),
  weight('legacy', 'F8_E5M2'),
  one('legacy.scale_weight', 0.5),
  weight('single'),
  one('single.weight_scale_inv', 2, [1, 1]),
  weight('integer', 'I8'),
  one('integer.weight_scale', 0.125),
  weight('row'),
  one('row.weight_scale', 1, [8, 1]),
  weight('block'),
  one('block.weight_scale_inv', 1, [2, 2]),
  weight('microscaled'),
  { name: 'microscaled.weight_scale', dtype: 'U8', shape: [128, 4] },
  weight('bare'),
  { name: 'plain.weight', dtype: 'BF16', shape: [8, 16] },
];

let folder: TemporaryFolder;
let file: SafetensorsFile;

beforeAll(async () => {
  folder = await temporaryFolder();
  const path = join(folder.path, 'model.safetensors');
  await writeFile(path, modelBytes(MODEL));
  file = await openSafetensors(path);
});
afterAll(async () => {
  await file.close();
  await folder[Symbol.asyncDispose]();
});

function scaleOf(layer: string): ReturnType<typeof readTensorScale> {
  const tensor = file.header.byName.get(`${layer}.weight`);
  if (tensor === undefined) throw new Error(`the model has no ${layer}`);
  return readTensorScale(file, tensor);
}

describe('the scale of a tensor', () => {
  it.each([
    ['tensor', 0.25, 'tensor.weight_scale'],
    ['legacy', 0.5, 'legacy.scale_weight'],
    ['single', 2, 'single.weight_scale_inv'],
    ['integer', 0.125, 'integer.weight_scale'],
  ])('of layer %s is %d', async (layer, value, tensor) => {
    expect(await scaleOf(layer)).toEqual({ kind: 'number', value, tensor });
  });

  it.each(['bare', 'plain'])('of layer %s, which has none, is 1', async (layer) => {
    expect(await scaleOf(layer)).toEqual({ kind: 'number', value: 1 });
  });

  it.each([
    ['row', /F32 of shape \[8, 1\]/],
    ['block', /F32 of shape \[2, 2\]/],
    ['microscaled', /U8 of shape \[128, 4\]/],
  ])('of layer %s is many, which is told', async (layer, reason) => {
    expect(await scaleOf(layer)).toEqual({ kind: 'unsupported', reason: expect.stringMatching(reason) as string });
  });
});
