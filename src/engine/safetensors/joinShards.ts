/** joinShards: an index and the headers of its shards → one Header, of which every tensor knows its file. Pure. */
import { formatQuantity } from '../../base/format';
import type { Header, TensorInfo } from './header';
import { quoted } from './invalid';
import { invalidIndex, type ShardIndex } from './shardIndex';

export interface Shard {
  readonly name: string;
  readonly header: Header;
}

/** The shards' names, in the order of their numbers. */
export function shardNames({ weightMap }: ShardIndex): readonly string[] {
  return [...new Set(weightMap.values())].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

/**
 * Throws EngineError InvalidShards where a tensor is in two shards, in none, or in another one than the index says. Metadata is that of every
 * shard; where two say different things the first one counts.
 */
export function joinShards(indexPath: string, { weightMap }: ShardIndex, shards: readonly Shard[]): Header {
  const byName = new Map<string, TensorInfo>();
  const metadata = new Map<string, string>();
  let fileSize = 0;
  for (const [file, { name: shard, header }] of shards.entries()) {
    fileSize += header.fileSize;
    for (const [key, value] of header.metadata) if (!metadata.has(key)) metadata.set(key, value);
    for (const tensor of header.tensors) {
      const other = byName.get(tensor.name);
      if (other !== undefined)
        throw invalidIndex(
          indexPath,
          `the tensor ${quoted(tensor.name)} is in two shards, ${shards[other.file ?? 0]?.name ?? '?'} and ${shard}`,
          tensor.name,
        );
      const mapped = weightMap.get(tensor.name);
      if (mapped === undefined)
        throw invalidIndex(indexPath, `the tensor ${quoted(tensor.name)} of ${shard} is missing from the index`, tensor.name);
      if (mapped !== shard)
        throw invalidIndex(indexPath, `the index says that ${quoted(tensor.name)} is in ${mapped}, and it is in ${shard}`, tensor.name);
      byName.set(tensor.name, { ...tensor, file });
    }
  }
  const lost = [...weightMap].filter(([name]) => !byName.has(name));
  const [first] = lost;
  if (first !== undefined) {
    const others = lost.length === 1 ? '' : ` and ${formatQuantity(lost.length - 1, 'other')}`;
    throw invalidIndex(
      indexPath,
      `the shard ${first[1]} does not have the tensor ${quoted(first[0])}${others}, which the index says it has`,
      first[0],
    );
  }
  return { tensors: [...byName.values()], byName, metadata, dataStart: 0, fileSize };
}
