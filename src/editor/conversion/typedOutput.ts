/** typedOutput: what was typed as an output → the whole path that is meant, and back. Pure. */
import { basename, dirname, join, resolve } from 'node:path';
import type { ModelSource } from '../../engine/safetensors/modelSource';

/** Ends in a separator, or in what stands for a folder. */
const FOLDER = /(^|[\\/])\.{0,2}$/;
const FILE_ENDING = /\.(safetensors|sft|safetensors\.index\.json)$/i;

/**
 * A name alone is meant beside the default, and a folder with the default's name. Shards go to a folder, or to where an index is named; one file
 * keeps the ending of one.
 */
export function typedOutput(typed: string, defaultPath: string, kind: ModelSource['kind']): string {
  const path = resolve(dirname(defaultPath), typed);
  if (kind !== 'file') return path;
  if (FOLDER.test(typed)) return join(path, basename(defaultPath));
  return FILE_ENDING.test(path) ? path : `${path}.safetensors`;
}

/** What the field reads: typed again, it means the same. */
export function outputText(path: string, defaultPath: string): string {
  return dirname(path) === dirname(defaultPath) ? basename(path) : path;
}
