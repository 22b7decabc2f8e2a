/** Reads safetensors files: the header, and byte ranges of a file that stays the one whose header was read. */
import { open, stat, type FileHandle } from 'node:fs/promises';
import { EngineError } from '../errors';
import type { Header } from './header';
import { LENGTH_BYTES, parseHeaderLength } from './headerLength';
import { parseHeader } from './parseHeader';

/** Enough for the whole header of most files, so that opening costs one read. */
const FIRST_READ_BYTES = 64 * 1024;

export interface SafetensorsFile {
  readonly path: string;
  readonly header: Header;
  /** The bytes from `begin` to `end` of the file. Throws FileChanged where the file has become shorter. */
  readRange(begin: number, end: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Throws EngineError: InvalidSafetensors, FileNotFound, PermissionDenied, NotAFile, FileChanged, Io. The cost depends on the header only. */
export async function readHeader(path: string): Promise<Header> {
  const file = await openSafetensors(path);
  await file.close();
  return file.header;
}

/** As `readHeader`; the file stays open until its owner closes it. */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const handle = await openFile(path);
  try {
    const header = await readHeaderOf(handle, path);
    return {
      path,
      header,
      readRange: (begin, end) => readRange(handle, path, begin, end),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw withPath(error, path);
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    // Asked before opening, because opening a named pipe waits for its other end.
    const status = await stat(path);
    if (status.isDirectory()) throw new EngineError('NotAFile', `${path} is a folder. Choose a .safetensors file in it.`, { path });
    if (!status.isFile()) throw new EngineError('NotAFile', `${path} is not an ordinary file. Choose a .safetensors file.`, { path });
    return await open(path, 'r');
  } catch (error) {
    throw withPath(error, path);
  }
}

async function readHeaderOf(handle: FileHandle, path: string): Promise<Header> {
  const { size } = await handle.stat();
  const first = await readRange(handle, path, 0, Math.min(size, FIRST_READ_BYTES));
  const dataStart = LENGTH_BYTES + parseHeaderLength(first, size);
  if (dataStart <= first.length) return parseHeader(first, size);
  const prefix = new Uint8Array(dataStart);
  prefix.set(first);
  await readInto(handle, path, prefix.subarray(first.length), first.length);
  return parseHeader(prefix, size);
}

async function readRange(handle: FileHandle, path: string, begin: number, end: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - begin);
  await readInto(handle, path, bytes, begin);
  return bytes;
}

async function readInto(handle: FileHandle, path: string, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, position + done).catch((error: unknown) => {
      throw withPath(error, path);
    });
    if (bytesRead === 0) {
      throw new EngineError('FileChanged', `${path} became shorter while it was read. Wait until nothing writes to it, then try again.`, {
        path,
      });
    }
    done += bytesRead;
  }
}

function withPath(error: unknown, path: string): EngineError {
  const { code, message, details, cause } = EngineError.wrap(error);
  if (details.path !== undefined) return error as EngineError;
  return new EngineError(code, `${path}: ${sentenceOf(code) ?? message}`, { ...details, path }, { cause: cause ?? error });
}

function sentenceOf(code: EngineError['code']): string | undefined {
  switch (code) {
    case 'FileNotFound':
      return 'there is no such file. Check the path.';
    case 'PermissionDenied':
      return 'you may not read this file. Change its permissions, or copy it to a place of your own.';
    default:
      return undefined;
  }
}
