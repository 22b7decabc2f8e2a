/** Where a scale belongs to one value or to a few, a verification tells what rounding does from what something else has done. */
import { open } from 'node:fs/promises';
import { expect, it } from 'vitest';
import type { VerifyReport } from '../../../../src/engine/job/verify/verifyEvent';
import type { Recipe } from '../../../../src/engine/plan/recipe';
import { readHeader } from '../../../../src/engine/safetensors/reader';
import { engineScene } from '../../../support/engineScene';
import { writeModel, type ModelTensor } from '../../../support/modelFile';

const scene = engineScene();

const SIZE = 96;
const MODEL: readonly ModelTensor[] = [
  { name: 'column.weight', dtype: 'BF16', shape: [2048, 1] },
  { name: 'line.weight', dtype: 'BF16', shape: [1, 512] },
  { name: 'one.weight', dtype: 'BF16', shape: [1, 1] },
  { name: 'pairs.weight', dtype: 'BF16', shape: [100, 2] },
  { name: 'square.weight', dtype: 'BF16', shape: [64, 64] },
  { name: 'outlier.weight', dtype: 'BF16', shape: [64, 64], replace: [{ index: 197, value: 41 }] },
  // Nothing but the same number where it is not zero: all are rounded alike.
  {
    name: 'diagonal.weight',
    dtype: 'BF16',
    shape: [SIZE, SIZE],
    replace: Array.from({ length: SIZE * SIZE }, (_, index) => ({ index, value: index % (SIZE + 1) === 0 ? 0.3 : 0 })),
  },
];

const RECIPES: readonly Partial<Recipe>[] = [
  { layout: 'plain', granularity: 'row' },
  { layout: 'plain', granularity: 'row', target: 'float8_e5m2' },
  { layout: 'plain', granularity: 'row', target: 'int8' },
  { layout: 'plain', granularity: 'block', blockSize: [1, 1] },
  { layout: 'plain', granularity: 'block', blockSize: [1, 1], target: 'float8_e5m2' },
  { layout: 'plain', granularity: 'block', blockSize: [2, 1] },
  { layout: 'compressed-tensors', granularity: 'row' },
  { layout: 'huggingface', granularity: 'block', blockSize: [1, 1] },
  { layout: 'comfyui' },
  { layout: 'comfyui', target: 'int8', granularity: 'tensor' },
  { layout: 'comfyui', target: 'mxfp8' },
  { layout: 'comfyui', target: 'nvfp4' },
];

async function convert(recipe: Partial<Recipe>): Promise<void> {
  await writeModel(scene.source, MODEL);
  await scene.convert(scene.request({}, { presets: [], minElements: 1, ...recipe }));
}

async function patchNumbers(tensor: string, change: (value: number) => number): Promise<void> {
  const { begin, end } = (await readHeader(scene.output)).byName.get(tensor) ?? { begin: NaN, end: NaN };
  const file = await open(scene.output, 'r+');
  const bytes = Buffer.alloc(end - begin);
  await file.read(bytes, 0, bytes.length, begin);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeFloatLE(change(bytes.readFloatLE(at)), at);
  await file.write(bytes, 0, bytes.length, begin);
  await file.close();
}

function problemsOf({ problems, tensors }: VerifyReport): readonly string[] {
  return [...problems, ...tensors.flatMap((tensor) => tensor.problems.map((problem) => `${tensor.name}: ${problem}`))];
}

it.each(RECIPES.flatMap((recipe) => (['nearest', 'learned'] as const).map((rounding) => ({ ...recipe, rounding }))))(
  'a file made with %j is good',
  async (recipe) => {
    await convert(recipe);
    const report = await scene.verify();
    expect(problemsOf(report)).toEqual([]);
    expect(report.tensors.filter(({ state }) => state === 'quantized').length).toBe(MODEL.length);
    expect(problemsOf(await scene.verifyAlone())).toEqual([]);
  },
);

it.each([
  ['float8_e4m3fn', 'learned', 1.05],
  ['float8_e4m3fn', 'nearest', 1.05],
  ['float8_e5m2', 'learned', 1.1],
  ['int8', 'learned', 1.02],
] as const)('scales of single values of %s, %s, that are %f of their own are found', async (target, rounding, factor) => {
  await convert({ layout: 'plain', granularity: 'row', target, rounding });
  await patchNumbers('column.weight_scale', (value) => value * factor);
  expect(problemsOf(await scene.verify())).toEqual([
    expect.stringMatching(/^column\.weight: It.* so its (codes or its )?scale (are|is) not its own\.$/),
  ]);
});
