/** outputPlace: what stands where an output would be written. */
import type { Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../../engine/safetensors/outputErrors';
import { isSameFile } from '../../engine/safetensors/outputPlace';

export type OutputPlace =
  | 'free'
  | 'file'
  /** One that has something in it. An empty one is free. */
  | 'folder'
  /** One of the files that are read. */
  | 'source'
  /** The folder that it would be in is not there. */
  | 'noFolder'
  /** There can be no file of this name, e.g. below another file or in a folder that may not be entered. */
  | 'impossible';

export async function outputPlace(path: string, sources: readonly string[]): Promise<OutputPlace> {
  try {
    const folder = await statusOf(dirname(path));
    if (folder === undefined) return 'noFolder';
    if (!folder.isDirectory()) return 'impossible';
    for (const source of sources) if (await isSameFile(path, source)) return 'source';
    const status = await statusOf(path);
    if (status === undefined) return 'free';
    if (!status.isDirectory()) return 'file';
    // What may not be looked into may have something in it.
    const names = await readdir(path).catch(() => ['unknown']);
    return names.length === 0 ? 'free' : 'folder';
  } catch {
    return 'impossible';
  }
}

async function statusOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
