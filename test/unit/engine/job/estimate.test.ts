import { expect, it } from 'vitest';
import { secondsOf, workOf } from '../../../../src/engine/job/estimate';
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

function work(name: string, overrides: Partial<Recipe>): ReturnType<typeof workOf> {
  const recipe = defaultRecipe(overrides);
  const tensor = makePlan(header, recipe, { toolVersion: 'test' }).tensors.find(({ source }) => source.name === name);
  if (tensor === undefined) throw new Error(`there is no ${name}`);
  return workOf(tensor, recipe);
}

it('full rank costs 4·M·N² + N³/3 multiply-adds, reading 2 bytes and writing 1 per weight', () => {
  expect(work('wide.weight', {})).toEqual({ bytes: 3 * 128 * 512, multiplyAdds: 4 * 128 * 512 ** 2 + 512 ** 3 / 3 });
  expect(work('wide.weight', {}).multiplyAdds).toBeGreaterThan(3 * work('tall.weight', {}).multiplyAdds);
});

it('a rank at or above the number of columns is the full rank', () => {
  expect(work('wide.weight', { topK: 512 })).toEqual(work('wide.weight', {}));
  expect(work('wide.weight', { topK: 4 }).multiplyAdds).toBeLessThan(work('wide.weight', {}).multiplyAdds / 10);
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
