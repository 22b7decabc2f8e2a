/** What a plan warns of because of what stands beside the model, and that it does not cry wolf. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { makePlan } from '../../../../src/engine/plan/makePlan';
import { defaultRecipe, type Recipe } from '../../../../src/engine/plan/recipe';
import { sourceWarnings } from '../../../../src/engine/plan/sourceWarnings';
import { readModelSource } from '../../../../src/engine/safetensors/modelSource';
import { TOY_MODEL, writeModel } from '../../../support/modelFile';
import { shardName, writeShardedModel } from '../../../support/shardedModel';
import { temporaryFolder } from '../../../support/temporaryFolder';

let folder: string;
let config: string;

beforeEach(async () => {
  const temporary = await temporaryFolder();
  folder = join(temporary.path, 'model');
  config = join(folder, 'config.json');
  await mkdir(folder);
  return () => temporary[Symbol.asyncDispose]();
});

async function warningsOf(path: string, recipe: Partial<Recipe> = {}): Promise<readonly string[]> {
  const source = await readModelSource(path);
  return sourceWarnings(source, makePlan(source.header, defaultRecipe(recipe), { toolVersion: '1.2.3' }));
}

it('tells of a folder for transformers that its loaders do not read the layout, and which they read', async () => {
  const { index } = await writeShardedModel(folder, TOY_MODEL, 2);
  await writeFile(config, '{"architectures":["LlamaForCausalLM"]}');
  const told =
    'transformers and vLLM, for which config.json is (LlamaForCausalLM), do not read the layout comfyui. Choose the layout compressed-tensors (vLLM) or huggingface (transformers) for them.';
  expect(await warningsOf(folder)).toEqual([told]);
  expect(await warningsOf(index)).toEqual([told]);
  expect(await warningsOf(folder, { layout: 'plain' })).toEqual([expect.stringContaining('do not read the layout plain')]);
  expect(await warningsOf(folder, { layout: 'compressed-tensors' })).toEqual([]);
  expect(await warningsOf(folder, { layout: 'huggingface', granularity: 'block', blockSize: [8, 8] })).toEqual([]);
  expect(await warningsOf(folder, { overrides: [{ match: '*', action: 'keep' }] })).toEqual([]);
});

it.each(['{"_class_name":"FluxTransformer2DModel"}', '{"architectures":[]}', '{"architectures":"x"}', 'no JSON'])(
  'says nothing of a folder with the config.json %s, nor of one without any',
  async (text) => {
    await writeModel(join(folder, 'model.safetensors'), TOY_MODEL);
    expect(await warningsOf(folder)).toEqual([]);
    await writeFile(config, text);
    expect(await warningsOf(folder)).toEqual([]);
  },
);

it('says nothing of a single file, of which nobody knows for whom it is', async () => {
  const file = join(folder, 'model.safetensors');
  await writeModel(file, TOY_MODEL);
  await writeFile(config, '{"architectures":["T5EncoderModel"]}');
  expect(await warningsOf(file)).toEqual([]);
  expect(await warningsOf(folder)).toHaveLength(1);
});

it('tells of a shard without its index that the rest is left behind', async () => {
  const { index, shards } = await writeShardedModel(folder, TOY_MODEL, 3);
  const [first = ''] = shards;
  expect(await warningsOf(first)).toEqual([]);
  await rm(index);
  const told = [
    'model-00001-of-00003.safetensors is one of 3 shards by its name, and no model.safetensors.index.json beside it says so: the rest of the model is left behind. Put the index and all shards into one folder, and choose that.',
  ];
  expect(await warningsOf(first)).toEqual(told);
  for (const shard of shards.slice(1)) await rm(shard);
  expect(await warningsOf(folder)).toEqual(told);
  const whole = join(folder, 'whole');
  await mkdir(whole);
  await writeModel(join(whole, shardName(0, 1)), TOY_MODEL);
  expect(await warningsOf(whole)).toEqual([]);
});
