/** Quantized models whose scales are no numbers that a scale can be: nothing is made of them, and the scale is named. */
import { readFile, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { readHeader } from '../../../../src/engine/safetensors/reader';
import { engineScene } from '../../../support/engineScene';
import { writeModel } from '../../../support/modelFile';
import { storedConversions } from '../../../support/storedConversions';

const scene = engineScene();
const { path, converted } = storedConversions(scene);

it.each([
  ['tensor', [NaN, Infinity, 0, -1]],
  ['row', [NaN, -1]],
] as const)('refuses to dequantize by a scale of a %s that is none', async (granularity, values) => {
  await writeModel(scene.source, [{ name: 'layer.weight', dtype: 'BF16', shape: [96, 64] }]);
  const file = await converted('quantized', { layout: 'plain', target: 'float8_e4m3fn', granularity });
  const good = await readFile(file);
  const scale = (await readHeader(file)).tensors.find(({ dtype }) => dtype === 'F32');
  const request = {
    source: file,
    output: path('back.safetensors'),
    overwrite: 'replace',
    work: { kind: 'dequantize', dtype: 'F32' },
  } as const;
  for (const value of values) {
    const bytes = Buffer.from(good);
    bytes.writeFloatLE(value, scale?.begin);
    await writeFile(file, bytes);
    const [end] = (await scene.run(scene.request(request))).slice(-1);
    expect(end).toMatchObject({ type: 'failed', error: { code: 'InvalidRecipe', path: file, tensor: scale?.name } });
  }
  // A row of zeros may well have a scale of zero.
  const bytes = Buffer.from(good);
  if (granularity === 'row') bytes.writeFloatLE(0, scale?.begin);
  await writeFile(file, bytes);
  await scene.convert(scene.request(request));
});
