/** The generator of fixtures itself: what it writes is what the line says, and a file of it can be read. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { recognise } from '../../../../src/engine/families/recognise';
import { readHeader } from '../../../../src/engine/safetensors/reader';
import { KNOWN_FIXTURES } from '../../../fixtures/families/all';
import { expand, headerOf, writeSparse } from '../../../fixtures/families/template';
import { temporaryFolder } from '../../../support/temporaryFolder';

describe('a line', () => {
  test('counts, chooses and adds biases', () => {
    const tensors = expand({ prefix: 'p.', dtype: 'BF16', lines: '{a,b}.{0..1}.proj.weight+bias 4x8' });
    expect(tensors.map(({ name, shape }) => `${name} ${shape.join('x')}`)).toEqual([
      'p.a.0.proj.weight 4x8',
      'p.a.0.proj.bias 4',
      'p.a.1.proj.weight 4x8',
      'p.a.1.proj.bias 4',
      'p.b.0.proj.weight 4x8',
      'p.b.0.proj.bias 4',
      'p.b.1.proj.weight 4x8',
      'p.b.1.proj.bias 4',
    ]);
  });

  test('may give its own dtype and no dimension', () => {
    expect(expand({ prefix: '', dtype: 'BF16', lines: 'scale scalar F32' })).toEqual([
      { name: 'scale', dtype: 'F32', shape: [], byteLength: 4 },
    ]);
  });

  test.each(['a.weight', 'a.weight 4xq', 'a.weight 4x8 BF17', 'a.weight 4x8 BF16 more'])('"%s" is refused', (line) => {
    expect(() => expand({ prefix: '', dtype: 'BF16', lines: line })).toThrow('not a');
  });
});

/** Sizes and counts of the published files, which the fixtures must meet if their shapes are right. */
test.each([
  ['FLUX.1-dev', 780, 23.8],
  ['FLUX.2-dev', undefined, 64.4],
  ['FLUX.2-klein-4B', undefined, 7.75],
  ['Qwen-Image', 1933, 40.9],
  ['Wan 2.1 T2V 14B', 1095, 28.6],
  ['Wan 2.1 I2V 14B in a ComfyUI file', 1303, 32.8],
  ['HunyuanVideo T2V', undefined, 25.6],
  ['HiDream I1 Full', undefined, 34.2],
  ['Z-Image Turbo', 453, 12.3],
  ['Stable Diffusion 1.5 in diffusers', 686, 1.72],
  ['Stable Diffusion XL in diffusers', 1680, 5.14],
  ['T5 v1.1 XXL encoder', 219, 9.52],
  ['Llama 3.1 8B', 291, 16.1],
  ['Qwen2.5-VL 7B', 729, 16.6],
  ['Qwen3 30B-A3B', 18867, 61.1],
  ['Mixtral 8x7B', 995, 93.4],
  ['Autoencoder of Wan 2.1', 194, 0.508],
])('%s has the tensors and bytes of the published file', (model, tensorCount, gigabytes) => {
  const header = headerOf(KNOWN_FIXTURES.find((fixture) => fixture.model === model)!.templates);
  if (tensorCount !== undefined) expect(header.tensors).toHaveLength(tensorCount);
  expect((header.fileSize - header.dataStart) / 1e9 / gigabytes).toBeCloseTo(1, 2);
});

test('a sparse file of it is read like the real one, and takes no room', async () => {
  const { templates, family } = KNOWN_FIXTURES.find(({ model }) => model === 'FLUX.1-dev')!;
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'flux1-dev.safetensors');
  await writeSparse(path, templates);
  const header = await readHeader(path);
  expect(header.fileSize).toBeGreaterThan(23e9);
  expect((await stat(path)).blocks * 512).toBeLessThan(1e6);
  expect(recognise(header).family).toBe(family);
});
