/** Weights that are no plain matrices: written, read back and verified as what they are. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Recipe } from '../../../../src/engine/plan/recipe';
import { openModel } from '../../../../src/engine/safetensors/modelSource';
import { engineScene } from '../../../support/engineScene';
import { writeModel, type ModelTensor } from '../../../support/modelFile';

const scene = engineScene();
const PLAIN = { layout: 'plain', convolutions: 'quantize', embeddings: 'quantize' } as const;

async function bytesOf(path: string): Promise<(name: string) => Uint8Array> {
  const model = await openModel(path);
  const contents = new Map<string, Uint8Array>();
  for (const tensor of model.header.tensors) contents.set(tensor.name, Uint8Array.from(await model.readTensor(tensor)));
  await model.close();
  return (name) => {
    const bytes = contents.get(name);
    if (bytes === undefined) throw new Error(`there is no ${name} in ${path}`);
    return bytes;
  };
}

async function convertedAs(name: string, source: string, recipe: Partial<Recipe>): Promise<string> {
  const output = join(scene.folder, `${name}.safetensors`);
  await scene.convert(scene.request({ source, output }, recipe));
  const report = await scene.verify({ converted: output, source });
  expect(report.tensors.flatMap(({ problems }) => problems)).toEqual([]);
  expect(report.ok).toBe(true);
  return output;
}

/** A model of one tensor. */
async function writeValues(path: string, name: string, shape: readonly number[], values: Float32Array): Promise<void> {
  await writeModel(path, [{ name, dtype: 'F32', shape }]);
  const file = await readFile(path);
  file.set(new Uint8Array(values.buffer), file.length - values.byteLength);
  await writeFile(path, file);
}

const CONVOLUTIONS: readonly ModelTensor[] = [
  { name: 'one.conv.weight', dtype: 'BF16', shape: [32, 16, 3] },
  { name: 'two.conv.weight', dtype: 'F16', shape: [48, 16, 3, 3] },
  { name: 'three.conv.weight', dtype: 'F32', shape: [16, 8, 2, 2, 2] },
  // 64 channels in groups of 16, and each for itself.
  { name: 'grouped.conv.weight', dtype: 'BF16', shape: [64, 16, 3, 3] },
  { name: 'depthwise.conv.weight', dtype: 'F32', shape: [128, 1, 3, 3] },
];

it.each(['nearest', 'learned'] as const)(
  'convolutions are what their O × (I·k…) matrices are by %s rounding, a transposed one as it was',
  async (rounding) => {
    const transposed: ModelTensor = { name: 'up.conv_transpose.weight', dtype: 'F32', shape: [32, 16, 4] };
    const matrices = CONVOLUTIONS.map(({ name, dtype, shape: [rows = 1, ...rest] }) => ({
      name,
      dtype,
      shape: [rows, rest.reduce((product, size) => product * size, 1)],
    }));
    const flat = join(scene.folder, 'flat.safetensors');
    await writeModel(scene.source, [...CONVOLUTIONS, transposed]);
    await writeModel(flat, [...matrices, transposed]);
    for (const granularity of ['tensor', 'row'] as const) {
      const recipe = { ...PLAIN, rounding, granularity, presets: [] };
      const ours = await bytesOf(await convertedAs(`a-${granularity}`, scene.source, recipe));
      const theirs = await bytesOf(
        await convertedAs(`b-${granularity}`, flat, { ...recipe, overrides: [{ match: '*transpose*', action: 'keep' }] }),
      );
      for (const { name } of CONVOLUTIONS) {
        expect(ours(name), name).toEqual(theirs(name));
        expect(ours(`${name}_scale`), name).toEqual(theirs(`${name}_scale`));
      }
      expect(ours(transposed.name)).toEqual((await bytesOf(scene.source))(transposed.name));
    }
  },
);

it('stacked experts have each the scale and the codes that they have alone', async () => {
  const name = 'layers.0.experts.up.weight';
  const [count, rows, columns] = [3, 40, 64];
  await writeModel(scene.source, [{ name, dtype: 'F32', shape: [count, rows, columns] }]);
  const values = (await bytesOf(scene.source))(name);
  const numbers = new Float32Array(values.buffer.slice(0));
  // Of very different sizes, so that a scale for all of them would show.
  for (let i = 0; i < numbers.length; i += 1) numbers[i] = numbers[i]! * 10 ** Math.floor(i / (rows * columns));
  await writeValues(scene.source, name, [count, rows, columns], numbers);
  for (const target of ['float8_e4m3fn', 'int8'] as const) {
    const recipe = { ...PLAIN, target, granularity: 'tensor', rounding: 'nearest' } as const;
    const stacked = await bytesOf(await convertedAs(`stack-${target}`, scene.source, recipe));
    const scales = new Float32Array(stacked(`${name}_scale`).buffer);
    expect(scales).toHaveLength(count);
    for (let expert = 0; expert < count; expert += 1) {
      const alone = join(scene.folder, `alone-${expert}.safetensors`);
      await writeValues(alone, 'up.weight', [rows, columns], numbers.slice(expert * rows * columns, (expert + 1) * rows * columns));
      const single = await bytesOf(await convertedAs(`single-${target}-${expert}`, alone, recipe));
      expect(scales[expert]).toBe(new Float32Array(single('up.weight_scale').buffer)[0]);
      expect(stacked(name).slice(expert * rows * columns, (expert + 1) * rows * columns)).toEqual(single('up.weight'));
    }
  }
  await convertedAs('learned', scene.source, { ...PLAIN, granularity: 'tensor', rounding: 'learned' });
  await convertedAs('rows', scene.source, { ...PLAIN, granularity: 'row', rounding: 'learned' });
});

it.each(['tensor', 'row'] as const)('stacks named as in transformers are read back with a scale for each %s', async (granularity) => {
  const experts: readonly ModelTensor[] = [
    { name: 'layers.0.mlp.experts.gate_up_proj', dtype: 'BF16', shape: [3, 64, 40] },
    { name: 'layers.0.mlp.experts.down_proj', dtype: 'BF16', shape: [3, 40, 32] },
  ];
  await writeModel(scene.source, [...experts, { name: 'layers.0.attn.weight', dtype: 'BF16', shape: [64, 40] }]);
  const plain = { ...PLAIN, granularity, rounding: 'learned' } as const;
  const converted = await convertedAs('converted', scene.source, plain);
  const written = await bytesOf(converted);
  expect(written('layers.0.mlp.experts.down_proj')).toHaveLength(3 * 40 * 32);
  expect(written('layers.0.mlp.experts.down_proj_scale')).toHaveLength(4 * 3 * (granularity === 'row' ? 40 : 1));

  const numbers = join(scene.folder, 'numbers.safetensors');
  await scene.convert(scene.request({ source: converted, output: numbers, work: { kind: 'dequantize', dtype: 'F32' } }));
  expect(await scene.verify({ converted: numbers, source: converted })).toMatchObject({ ok: true, problems: [] });
  const again = { ...plain, rounding: 'nearest', target: 'int8' } as const;
  const [twice, anew] = [
    await bytesOf(await convertedAs('twice', numbers, again)),
    await bytesOf(await convertedAs('anew', converted, { ...again, quantized: 'requantize' })),
  ];
  for (const { name } of experts) expect([anew(name), anew(`${name}_scale`)]).toEqual([twice(name), twice(`${name}_scale`)]);
  // Kept as they are where nobody asks for others, and refused where a layout has no place for them.
  const kept = (await scene.run(scene.request({ source: converted }, plain))).at(-1);
  expect(kept).toMatchObject({ type: 'failed', error: { message: expect.stringContaining('quantized already') as string } });
  const migrated = await scene.run(scene.request({ source: converted, work: { kind: 'migrate', layout: 'compressed-tensors' } }));
  expect(migrated.at(-1)).toMatchObject({ type: 'failed', error: { message: expect.stringContaining('experts') as string } });
});

it('a table of tokens is quantized on request with one scale in ComfyUI’s layout, and verified', async () => {
  await writeModel(scene.source, [
    { name: 'model.embed_tokens.weight', dtype: 'BF16', shape: [600, 64] },
    { name: 'model.layers.0.mlp.up_proj.weight', dtype: 'BF16', shape: [64, 64] },
  ]);
  const bytes = await bytesOf(await convertedAs('embedded', scene.source, { embeddings: 'quantize' }));
  expect(bytes('model.embed_tokens.weight')).toHaveLength(600 * 64);
  expect(bytes('model.embed_tokens.weight_scale')).toHaveLength(4);
  expect(new TextDecoder().decode(bytes('model.embed_tokens.comfy_quant'))).toBe('{"format":"float8_e4m3fn"}');
});
