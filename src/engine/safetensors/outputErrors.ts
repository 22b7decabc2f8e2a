/** What can go wrong with an output file, in words that name the path and the remedy. */
import { basename, dirname } from 'node:path';
import { formatInteger } from '../../base/format';
import { EngineError } from '../errors';

export function outputExists(path: string): EngineError {
  return new EngineError('OutputExists', `${path} exists already. Choose another output path, or allow it to be overwritten.`, { path });
}

/** The system's error for the output at `path` as an EngineError with a remedy. */
export function explainWriteError(error: unknown, path: string, fileSize: number): EngineError {
  if (error instanceof EngineError) return error;
  const wrapped = EngineError.wrap(error);
  return new EngineError(wrapped.code, sentenceOf(error, wrapped, path, fileSize), { path }, { cause: error });
}

export function errnoOf(error: unknown): string {
  const code = (error as { readonly code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : '';
}

function sentenceOf(error: unknown, { code, message }: EngineError, path: string, fileSize: number): string {
  const folder = dirname(path);
  switch (errnoOf(error)) {
    case 'ENOENT':
      return `${path} cannot be created there. Choose an output in another folder than ${folder}.`;
    case 'EFBIG':
      return `The disk of ${folder} takes no file of ${formatInteger(fileSize)} bytes. Choose an output on a disk with another file system.`;
    case 'ENAMETOOLONG':
      return `The name ${basename(path)} is too long. Choose a shorter output path.`;
  }
  switch (code) {
    case 'PermissionDenied':
      return `${path} cannot be written: the folder ${folder} is read-only for you. Change its permissions, or choose another output path.`;
    case 'DiskFull':
      return `The disk of ${folder} is full. Free some space, or choose an output on another disk.`;
    default:
      return `${path} cannot be written: ${message}`;
  }
}
