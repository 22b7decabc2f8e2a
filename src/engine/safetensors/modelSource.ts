/**
 * ModelSource: what is opened as one model: a file, a set of shards (by its index or by any of its shards), or the folder that has one of these.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { formatQuantity } from '../../base/format';
import { EngineError } from '../errors';
import { fileIdentity } from './fileIdentity';
import type { Header, TensorInfo } from './header';
import { joinShards, shardNames, type Shard } from './joinShards';
import { openSafetensors, readHeader } from './reader';
import { INDEX_SUFFIX, invalidIndex, isIndexPath, parseShardIndex, type ShardIndex } from './shardIndex';

export interface ModelSource {
  /** As it was asked for. */
  readonly path: string;
  readonly kind: 'file' | 'shards' | 'folder';
  /** Of all files together. */
  readonly header: Header;
  /** The .safetensors files, which TensorInfo.file counts. */
  readonly files: readonly string[];
  /** Of each file, before its header was read: see fileIdentity. */
  readonly identities: readonly string[];
  /** Of shards, also where a folder has them. */
  readonly index?: ShardIndex & { readonly path: string };
  /** Where config.json and the like stand. */
  readonly folder: string;
}

/** A ModelSource whose tensors can be read. */
export interface OpenModel extends ModelSource {
  /** The bytes from `begin` on of a tensor, all of them unless told. */
  readTensor(tensor: TensorInfo, length?: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

const SHARD_NAME = /^(.+)-\d{5,}-of-(\d{5,})\.safetensors$/i;
const HEADERS_AT_ONCE = 16;

/**
 * Reads headers only. Throws EngineError: what `readHeader` throws; InvalidShards where an index and its shards do not fit together; NotAFile where
 * a folder has no model, or more than one.
 */
export async function readModelSource(path: string): Promise<ModelSource> {
  const kind = await sourceKind(path);
  switch (kind) {
    case 'folder':
      return sourceInFolder(path);
    case 'shards':
      return shardsOf((await indexNaming(path)) ?? path, path, kind);
    case 'file':
      return fileSource(path, path, kind);
  }
}

/** The one file to open for a path: the index of what has one, else the model's only file. Throws as `readModelSource`. */
export async function modelFileOf(path: string): Promise<string> {
  const { index, files } = await readModelSource(path);
  return index?.path ?? files[0] ?? path;
}

/** What a path stands for. One that leads nowhere stands for a file. */
export async function sourceKind(path: string): Promise<ModelSource['kind']> {
  if ((await statusOf(path)) === 'folder') return 'folder';
  return isIndexPath(path) || (await indexNaming(path)) !== undefined ? 'shards' : 'file';
}

/** As `readModelSource`; files stay open from their first tensor on until the owner closes them. */
export async function openModel(path: string): Promise<OpenModel> {
  const source = await readModelSource(path);
  const opened = new Map<string, ReturnType<typeof openSafetensors>>();
  return {
    ...source,
    async readTensor({ begin, end, file = 0 }, length = end - begin) {
      const name = source.files[file] ?? '';
      const reading = opened.get(name) ?? openSafetensors(name);
      opened.set(name, reading);
      return (await reading).readRange(begin, Math.min(end, begin + length));
    },
    async close() {
      await Promise.all([...opened.values()].map(async (file) => (await file).close()));
    },
  };
}

export interface LoneShard {
  readonly name: string;
  /** Of how many it is one. */
  readonly count: number;
  /** The index that should stand beside it. */
  readonly indexName: string;
}

/** A source that is a single file, and by its name only a part of a model. */
export function loneShardOf({ files: [file, ...others], index }: Pick<ModelSource, 'files' | 'index'>): LoneShard | undefined {
  if (file === undefined || others.length > 0 || index !== undefined) return undefined;
  const [name, base = '', digits = ''] = SHARD_NAME.exec(basename(file)) ?? [];
  const count = Number(digits);
  return name === undefined || count < 2 ? undefined : { name, count, indexName: `${base}${INDEX_SUFFIX}` };
}

/** The file of a tensor. */
export function fileOf({ files }: ModelSource, { file = 0 }: TensorInfo): string {
  return files[file] ?? '';
}

async function fileSource(file: string, path: string, kind: ModelSource['kind']): Promise<ModelSource> {
  const { header, identity } = await identifiedHeader(file);
  return { path, kind, header, files: [file], identities: [identity], folder: dirname(file) };
}

async function shardsOf(indexPath: string, path: string, kind: ModelSource['kind']): Promise<ModelSource> {
  const index = parseShardIndex(await readText(indexPath), indexPath);
  const folder = dirname(indexPath);
  const names = shardNames(index);
  await requireAll(indexPath, names);
  const shards: (Shard & { readonly identity: string })[] = [];
  for (let begin = 0; begin < names.length; begin += HEADERS_AT_ONCE) {
    const some = names.slice(begin, begin + HEADERS_AT_ONCE);
    shards.push(...(await Promise.all(some.map(async (name) => ({ name, ...(await identifiedHeader(join(folder, name))) })))));
  }
  return {
    path,
    kind,
    header: joinShards(indexPath, index, shards),
    files: names.map((name) => join(folder, name)),
    identities: shards.map(({ identity }) => identity),
    index: { ...index, path: indexPath },
    folder,
  };
}

async function identifiedHeader(path: string): Promise<{ readonly header: Header; readonly identity: string }> {
  const identity = await fileIdentity(path);
  return { header: await readHeader(path), identity };
}

/** Every shard that the index names is there, and no other one. */
async function requireAll(indexPath: string, names: readonly string[]): Promise<void> {
  const present = await readdir(dirname(indexPath));
  const known = new Set(names);
  const missing = names.filter((name) => !present.includes(name));
  if (missing.length > 0) {
    const shown = missing.slice(0, 3).join(', ') + (missing.length > 3 ? ', …' : '');
    throw new EngineError(
      'InvalidShards',
      `${indexPath}: ${missing.length} of ${formatQuantity(names.length, 'shard')} ${missing.length === 1 ? 'is' : 'are'} missing (${shown}). Download what is missing into the same folder.`,
      { path: indexPath },
    );
  }
  const base = basename(indexPath).slice(0, -INDEX_SUFFIX.length);
  const stranger = present.find((name) => SHARD_NAME.exec(name)?.[1] === base && !known.has(name));
  if (stranger !== undefined)
    throw invalidIndex(
      indexPath,
      `the shard ${stranger} lies beside it and is not mentioned in it: it is left over from another version of the model, or the index is`,
    );
}

/** The index beside a file that counts it among its shards. */
async function indexNaming(path: string): Promise<string | undefined> {
  const match = SHARD_NAME.exec(basename(path));
  if (match === null) return undefined;
  const index = join(dirname(path), `${match[1] ?? ''}${INDEX_SUFFIX}`);
  if ((await statusOf(index)) !== 'file') return undefined;
  const { weightMap } = parseShardIndex(await readText(index), index);
  return [...weightMap.values()].includes(basename(path)) ? index : undefined;
}

async function sourceInFolder(path: string): Promise<ModelSource> {
  const folder = resolve(path);
  const names = (await readdir(folder).catch((error: unknown) => Promise.reject(EngineError.wrap(error, { path })))).sort();
  const indexes = names.filter(isIndexPath);
  const [index, secondIndex] = indexes;
  if (index !== undefined && secondIndex === undefined) return shardsOf(join(folder, index), path, 'folder');
  if (secondIndex !== undefined) throw severalModels(path, indexes);
  const files = names.filter((name) => /\.(safetensors|sft)$/i.test(name) && !name.startsWith('.'));
  const [file, secondFile] = files;
  if (file !== undefined && secondFile === undefined) return fileSource(join(folder, file), path, 'folder');
  if (secondFile !== undefined) throw shardsWithoutIndex(path, files) ?? severalModels(path, files);
  const inside = names.includes('model_index.json')
    ? ' It is a whole pipeline: choose the folder of one of its models, such as transformer.'
    : '';
  throw new EngineError('NotAFile', `${path} is a folder without a .safetensors file.${inside || ' Choose a folder or file of a model.'}`, {
    path,
  });
}

/** Undefined unless all of them are shards of one model. */
function shardsWithoutIndex(path: string, names: readonly string[]): EngineError | undefined {
  const [base, ...others] = new Set(names.map((name) => SHARD_NAME.exec(name)?.[1]));
  if (base === undefined || others.length > 0) return undefined;
  const index = `${base}${INDEX_SUFFIX}`;
  const message = `${path}: these are shards of one model (${namesText(names)}), and their index ${index} is missing. Download it into the same folder.`;
  return new EngineError('InvalidShards', message, { path });
}

function severalModels(path: string, names: readonly string[]): EngineError {
  return new EngineError('NotAFile', `${path} is a folder with more than one model (${namesText(names)}). Choose one of them.`, { path });
}

function namesText(names: readonly string[]): string {
  return names.slice(0, 4).join(', ') + (names.length > 4 ? ', …' : '');
}

async function statusOf(path: string): Promise<'file' | 'folder' | 'missing'> {
  const status = await stat(path).catch(() => undefined);
  if (status === undefined) return 'missing';
  return status.isDirectory() ? 'folder' : 'file';
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code, message } = EngineError.wrap(error);
    const sentence = code === 'FileNotFound' ? 'there is no such file. Check the path.' : message;
    throw new EngineError(code, `${path}: ${sentence}`, { path }, { cause: error });
  }
}
