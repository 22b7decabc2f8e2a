/** May an output be written here? Everything that can be known before its first byte, as errors with a remedy. */
import { access, constants, lstat, realpath, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { formatBytes } from '../../base/format';
import { EngineError } from '../errors';
import { errnoOf, explainWriteError, outputExists } from './outputErrors';

export type Overwrite = 'refuse' | 'replace';

/** Throws EngineError: OutputIsInput, OutputExists, NotAFile, FileNotFound, PermissionDenied. */
export async function checkOutputPath(path: string, sourcePaths: readonly string[], overwrite: Overwrite): Promise<void> {
  await checkFolder(path);
  for (const source of sourcePaths) {
    if (await isSameFile(path, source)) {
      throw new EngineError('OutputIsInput', `The output ${path} is the source ${source} itself. Choose another output path.`, { path });
    }
  }
  const existing = await lstat(path).catch(ignoreMissing);
  if (existing === undefined) return;
  if (existing.isDirectory()) throw new EngineError('NotAFile', `${path} is a folder. Add a file name to the output path.`, { path });
  if (!existing.isFile() && !existing.isSymbolicLink()) {
    throw new EngineError('NotAFile', `${path} is a device or pipe, not a file. Choose another output path.`, { path });
  }
  if (overwrite === 'refuse') throw outputExists(path);
}

/** Throws EngineError DiskFull. A file system that does not tell its size is trusted; a disk that fills up later ends the job then. */
export async function checkFreeSpace(path: string, fileSize: number): Promise<void> {
  const space = await statfs(dirname(path)).catch(() => undefined);
  if (space === undefined || space.blocks === 0) return;
  const free = space.bavail * space.bsize;
  if (fileSize <= free) return;
  throw new EngineError(
    'DiskFull',
    `${path} needs ${formatBytes(fileSize)}, and ${dirname(path)} has ${formatBytes(free)} left. Free some space, or choose an output on another disk.`,
    { path },
  );
}

/** The folder that a path is in exists, and may be written. Throws EngineError: FileNotFound, NotAFile, PermissionDenied. */
export async function checkFolder(path: string): Promise<void> {
  const folder = dirname(path);
  const status = await stat(folder).catch(ignoreMissing);
  if (status === undefined)
    throw new EngineError('FileNotFound', `The folder ${folder} does not exist. Create it, or choose another output path.`, { path });
  if (!status.isDirectory()) throw new EngineError('NotAFile', `${folder} is not a folder. Choose another output path.`, { path });
  await access(folder, constants.W_OK).catch((error: unknown) => Promise.reject(explainWriteError(error, path, 0)));
}

/**
 * The same file through any path, symbolic link, hard link, mount or spelling: the file system's own identity decides. Where that
 * says nothing (some network drives have no inode numbers), the resolved paths do.
 */
export async function isSameFile(output: string, source: string): Promise<boolean> {
  const a = await stat(output, { bigint: true }).catch(ignoreMissing);
  if (a === undefined) return (await resolved(output)) === (await resolved(source));
  const b = await stat(source, { bigint: true }).catch(ignoreMissing);
  if (b !== undefined && a.ino !== 0n && b.ino !== 0n) return a.dev === b.dev && a.ino === b.ino;
  return (await resolved(output)) === (await resolved(source));
}

/** The real path; of a file that does not exist, the real path that it would have. */
async function resolved(path: string): Promise<string> {
  const real = await realpath(path).catch(ignoreMissing);
  return real ?? join(await realpath(dirname(path)), basename(path));
}

function ignoreMissing(error: unknown): undefined {
  if (errnoOf(error) === 'ENOENT') return undefined;
  throw error;
}
