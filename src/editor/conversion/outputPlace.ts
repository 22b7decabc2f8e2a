/** outputPlace: what stands where an output would be written. */
import { readdir, stat } from 'node:fs/promises';

/** `folder`: one that has something in it. An empty one is free. */
export type OutputPlace = 'free' | 'file' | 'folder';

export async function outputPlace(path: string): Promise<OutputPlace> {
  const status = await stat(path).catch(() => undefined);
  if (status === undefined) return 'free';
  if (!status.isDirectory()) return 'file';
  const names = await readdir(path).catch(() => ['unknown']);
  return names.length === 0 ? 'free' : 'folder';
}
