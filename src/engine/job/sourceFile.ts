/** SourceFile: a source with its header, and the means to notice that it became another file while it was read. */
import { stat } from 'node:fs/promises';
import { EngineError } from '../errors';
import type { Header } from '../safetensors/header';
import { readHeader } from '../safetensors/reader';

export interface SourceFile {
  readonly path: string;
  readonly header: Header;
  /** Device, inode, size and time of change, before the header was read. */
  readonly identity: string;
}

export async function readSource(path: string): Promise<SourceFile> {
  const identity = await identityOf(path);
  return { path, header: await readHeader(path), identity };
}

/** Throws EngineError FileChanged unless the path still leads to the same bytes, as far as size and time of change tell. */
export async function requireUnchanged({ path, identity }: SourceFile): Promise<void> {
  if ((await identityOf(path)) === identity) return;
  throw new EngineError('FileChanged', `${path} changed while it was read. Wait until nothing writes to it, then try again.`, { path });
}

async function identityOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs].join(':');
  } catch {
    // Reading the file says better what is wrong with it.
    return 'missing';
  }
}
