/** A model may be a file, an index, one of its shards, or a folder; what does not fit together is refused with what is wrong. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { EngineError } from '../../../../src/engine/errors';
import { modelFileOf, openModel, readModelSource, sourceKind } from '../../../../src/engine/safetensors/modelSource';
import { TOY_MODEL, writeModel } from '../../../support/modelFile';
import { shardName, writeShardedModel, type ShardedModel } from '../../../support/shardedModel';
import { temporaryFolder } from '../../../support/temporaryFolder';

let folder: string;
let model: ShardedModel;

beforeEach(async () => {
  const temporary = await temporaryFolder();
  folder = temporary.path;
  model = await writeShardedModel(folder, TOY_MODEL, 3);
  return () => temporary[Symbol.asyncDispose]();
});

it('opens a set of shards by its index, by any shard, and by its folder', async () => {
  for (const path of [model.index, ...model.shards, folder]) {
    const { header, files, kind } = await readModelSource(path);
    expect(header.tensors.map(({ name }) => name).sort()).toEqual(TOY_MODEL.map(({ name }) => name).sort());
    expect(files).toEqual(model.shards);
    expect(kind).toBe(path === folder ? 'folder' : 'shards');
    expect(await sourceKind(path)).toBe(kind);
  }
});

it('knows the one file to open for whatever of a model is asked for', async () => {
  for (const path of [model.index, ...model.shards, folder]) expect(await modelFileOf(path)).toBe(model.index);
  const lone = join(folder, 'lone');
  await mkdir(lone);
  await writeModel(join(lone, 'm.safetensors'), TOY_MODEL);
  expect(await modelFileOf(lone)).toBe(join(lone, 'm.safetensors'));
  await expect(modelFileOf(join(folder, 'nowhere'))).rejects.toThrow(/nowhere/);
});

it('reads each tensor from the shard that has it', async () => {
  const single = join(folder, 'single');
  await mkdir(single);
  await writeModel(join(single, 'm.safetensors'), TOY_MODEL);
  const [sharded, whole] = [await openModel(model.index), await openModel(single)];
  for (const { name } of TOY_MODEL) {
    const tensor = sharded.header.byName.get(name);
    const twin = whole.header.byName.get(name);
    if (tensor === undefined || twin === undefined) throw new Error(name);
    expect(await sharded.readTensor(tensor), name).toEqual(await whole.readTensor(twin));
  }
  await sharded.close();
  await whole.close();
});

it('opens a lone file and a file that is named like a shard of nothing', async () => {
  await rm(model.index);
  expect((await readModelSource(model.shards[0] ?? '')).files).toEqual([model.shards[0]]);
});

it.each<[string, () => Promise<void>, RegExp]>([
  ['a shard is missing', () => rm(model.shards[1] ?? ''), /1 of 3 shards is missing \(model-00002-of-00003\.safetensors\)/],
  [
    'a shard lies there that the index does not mention',
    () => writeModel(join(folder, shardName(3, 4)), []).then(),
    /model-00004-of-00004\.safetensors lies beside it/,
  ],
  [
    'a tensor is in two shards',
    () => writeModel(model.shards[2] ?? '', [...inShard(2), ...inShard(0)]).then(),
    / is in two shards, model-00001-of-00003\.safetensors and model-00003/,
  ],
  [
    'a tensor is missing from the index',
    () => edit((map) => delete map['embed.weight']),
    /"embed\.weight" of model-00001-of-00003\.safetensors is missing from the index/,
  ],
  ['the index has a tensor that no shard has', () => edit((map) => (map['ghost'] = shardName(0, 3))), /does not have the tensor "ghost"/],
  [
    'the index names the wrong shard',
    () => edit((map) => (map['embed.weight'] = shardName(1, 3))),
    /says that "embed\.weight" is in model-00002/,
  ],
  ['the index names a file elsewhere', () => edit((map) => (map['embed.weight'] = '../x.safetensors')), /names no file beside the index/],
  ['the index is no JSON', () => writeFile(model.index, '{'), /it is not JSON/],
  ['the index has no map', () => writeFile(model.index, '{}'), /no "weight_map"/],
])('refuses a set where %s', async (_case, spoil, message) => {
  await spoil();
  const error: unknown = await readModelSource(model.index).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(EngineError);
  expect(error).toMatchObject({ code: 'InvalidShards' });
  expect((error as EngineError).message).toMatch(message);
  expect((error as EngineError).message).toContain(model.index);
});

it('does not guess which model of a folder is meant', async () => {
  await rename(model.index, join(folder, 'other.json'));
  await expect(readModelSource(folder)).rejects.toThrow(
    /these are shards of one model \(model-00001-of-00003\.safetensors, .*\), and their index model\.safetensors\.index\.json is missing\. Download it/,
  );
  await writeModel(join(folder, 'another.safetensors'), TOY_MODEL);
  await expect(readModelSource(folder)).rejects.toThrow(/more than one model/);
  const empty = join(folder, 'empty');
  await mkdir(empty);
  await expect(readModelSource(empty)).rejects.toThrow(/a folder without a \.safetensors file/);
  await writeFile(join(empty, 'model_index.json'), '{}');
  await expect(readModelSource(empty)).rejects.toThrow(/folder of one of its models/);
});

function inShard(shard: number): typeof TOY_MODEL {
  return TOY_MODEL.filter((_, position) => position % 3 === shard);
}

async function edit(change: (map: Record<string, string>) => unknown): Promise<void> {
  const index = JSON.parse(await readFile(model.index, 'utf8')) as { readonly weight_map: Record<string, string> };
  change(index.weight_map);
  await writeFile(model.index, JSON.stringify(index));
}
