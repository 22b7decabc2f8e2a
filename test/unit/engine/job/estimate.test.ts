import { expect, it } from 'vitest';
import { propagationWork, secondsOf, workOf } from '../../../../src/engine/job/estimate';
import { makePlan } from '../../../../src/engine/plan/makePlan';
import { defaultRecipe, type Recipe } from '../../../../src/engine/plan/recipe';
import { parseHeader } from '../../../../src/engine/safetensors/parseHeader';
import { modelBytes } from '../../../support/modelFile';

const bytes = modelBytes([
  { name: 'wide.weight', dtype: 'BF16', shape: [128, 512] },
  { name: 'tall.weight', dtype: 'BF16', shape: [512, 128] },
  { name: 'wide.bias', dtype: 'BF16', shape: [128] },
  { name: 'decoder.weight', dtype: 'BF16', shape: [64, 64] },
]);
const header = parseHeader(bytes, bytes.length);

const ONE_SIDE: Partial<Recipe> = { sides: 'input' };

function work(name: string, overrides: Partial<Recipe>): ReturnType<typeof workOf> {
  const recipe = defaultRecipe(overrides);
  const tensor = makePlan(header, recipe, { toolVersion: 'test' }).tensors.find(({ source }) => source.name === name);
  if (tensor === undefined) throw new Error(`there is no ${name}`);
  return workOf(tensor, recipe);
}

it('full rank costs 4·M·N² + N³/3 multiply-adds, reading 2 bytes and writing 1 per weight', () => {
  expect(work('wide.weight', ONE_SIDE)).toEqual({ bytes: 3 * 128 * 512, multiplyAdds: 4 * 128 * 512 ** 2 + 512 ** 3 / 3 });
  expect(work('wide.weight', ONE_SIDE).multiplyAdds).toBeGreaterThan(3 * work('tall.weight', ONE_SIDE).multiplyAdds);
});

it('both sides cost more, the more rows there are', () => {
  const more = (name: string): number => work(name, { sides: 'both' }).multiplyAdds / work(name, ONE_SIDE).multiplyAdds;
  expect(more('wide.weight')).toBeGreaterThan(1.5);
  expect(more('tall.weight')).toBeGreaterThan(3 * more('wide.weight'));
});

it('samples cost a product with each matrix whose inputs they tell, its bytes and theirs, and a product with its statistics', () => {
  const tensor = {
    action: 'quantize',
    source: { begin: 0, end: 2 * 128 * 512 },
    quantization: { rows: 128, columns: 512, rounding: 'learned', statistics: { inputs: 'propagated', outputs: 'none' } },
  } as const;
  const recipe = defaultRecipe({ ...ONE_SIDE, calibSamples: 1000 });
  const bytes = 2 * (2 * 128 * 512 + 2 * 2 * 1000 * 512);
  expect(propagationWork([tensor, tensor], recipe)).toEqual({ bytes, multiplyAdds: 2 * 1000 * 128 * 512 });
  expect(workOf(tensor, recipe).multiplyAdds - work('wide.weight', ONE_SIDE).multiplyAdds).toBeCloseTo(1000 * 512 ** 2, 3);
  expect(
    propagationWork([{ ...tensor, quantization: { ...tensor.quantization, statistics: { inputs: 'gram', outputs: 'none' } } }], recipe),
  ).toEqual({ bytes: 0, multiplyAdds: 0 });
});

it('a rank at or above the number of columns is the full rank', () => {
  expect(work('wide.weight', { topK: 512 })).toEqual(work('wide.weight', ONE_SIDE));
  expect(work('wide.weight', { topK: 4 }).multiplyAdds).toBeLessThan(work('wide.weight', ONE_SIDE).multiplyAdds / 10);
});

it('nearest and kept tensors are about their bytes; removed ones are nothing', () => {
  expect(work('wide.weight', { rounding: 'nearest' }).multiplyAdds).toBeLessThanOrEqual(4 * 128 * 512);
  expect(work('wide.bias', {})).toEqual({ bytes: 2 * 256, multiplyAdds: 0 });
  expect(work('decoder.weight', { presets: ['t5xxl'] })).toEqual({ bytes: 0, multiplyAdds: 0 });
});

it('a GPU makes arithmetic cheap beside bytes', () => {
  const full = work('wide.weight', {});
  expect(secondsOf(full, 'cuda')).toBeLessThan(secondsOf(full, 'cpu'));
  expect(secondsOf({ bytes: 1e9, multiplyAdds: 0 }, 'cuda')).toBe(secondsOf({ bytes: 1e9, multiplyAdds: 0 }, 'cpu'));
});
