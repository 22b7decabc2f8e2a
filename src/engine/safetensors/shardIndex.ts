/**
 * ShardIndex: `*.safetensors.index.json`, which says in which file of a sharded model each tensor is. Read strictly: file names come from
 * strangers, and may only name neighbours of the index. Pure.
 */
import { EngineError } from '../errors';

export const INDEX_SUFFIX = '.safetensors.index.json';

export interface ShardIndex {
  /** What the index says beside the map, `total_size` included, as it was parsed. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Tensor name → file name. */
  readonly weightMap: ReadonlyMap<string, string>;
}

export function isIndexPath(path: string): boolean {
  return path.toLowerCase().endsWith(INDEX_SUFFIX);
}

/** Throws EngineError InvalidShards. `path` is for messages. */
export function parseShardIndex(text: string, path: string): ShardIndex {
  const root = record(parsed(text, path));
  const map = record(root?.['weight_map']);
  if (map === undefined) throw invalidIndex(path, 'it has no "weight_map", so it is no index of a sharded model');
  const weightMap = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== 'string' || !isNeighbour(file))
      throw invalidIndex(
        path,
        `the tensor ${JSON.stringify(tensor)} is said to be in ${JSON.stringify(file)}, which names no file beside the index`,
      );
    weightMap.set(tensor, file);
  }
  if (weightMap.size === 0) throw invalidIndex(path, 'its "weight_map" is empty');
  return { metadata: record(root?.['metadata']) ?? {}, weightMap };
}

/** As transformers and diffusers write it: tensors by name. `totalSize` is that of all tensors in bytes. */
export function shardIndexText(
  weightMap: ReadonlyMap<string, string>,
  metadata: Readonly<Record<string, unknown>>,
  totalSize: number,
): string {
  const sorted = [...weightMap].sort(([a], [b]) => (a < b ? -1 : 1));
  const index = { metadata: { ...metadata, total_size: totalSize }, weight_map: Object.fromEntries(sorted) };
  return `${JSON.stringify(index, undefined, 2)}\n`;
}

export function invalidIndex(path: string, problem: string, tensor?: string): EngineError {
  return new EngineError('InvalidShards', `${path}: ${problem}. Download the model again, or correct its index.`, {
    path,
    ...(tensor === undefined ? {} : { tensor }),
  });
}

function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw invalidIndex(path, `it is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function isNeighbour(file: string): boolean {
  return file !== '' && file !== '.' && file !== '..' && !/[/\\\0]/.test(file);
}

function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined;
}
