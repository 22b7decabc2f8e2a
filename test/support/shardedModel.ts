/** Sharded models, written as files: the tensors of a model dealt out to shards, with their index. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeModel, type ModelTensor } from './modelFile';

export interface ShardedModel {
  readonly index: string;
  readonly shards: readonly string[];
}

/** `model-00001-of-0000N.safetensors` and so on; tensors in turn, so that neighbours lie apart. */
export async function writeShardedModel(folder: string, tensors: readonly ModelTensor[], count: number): Promise<ShardedModel> {
  const names = Array.from({ length: count }, (_, shard) => shardName(shard, count));
  for (const [shard, name] of names.entries()) {
    await writeModel(
      join(folder, name),
      tensors.filter((_, position) => position % count === shard),
      { format: 'pt' },
    );
  }
  const weightMap = Object.fromEntries(tensors.map(({ name }, position) => [name, names[position % count]]));
  const index = join(folder, 'model.safetensors.index.json');
  await writeFile(index, JSON.stringify({ metadata: { total_size: 1, kept: { by: 'us' } }, weight_map: weightMap }));
  return { index, shards: names.map((name) => join(folder, name)) };
}

export function shardName(shard: number, count: number): string {
  return `model-${String(shard + 1).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.safetensors`;
}
