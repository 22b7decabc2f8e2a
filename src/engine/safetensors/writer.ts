/**
 * OutputFile: an output that appears complete or not at all.
 *
 * It is written as a temporary file beside its place, in any order and by anyone who knows `temporaryPath`; `commit` makes it durable and gives
 * it its name. An output path that is a symbolic link is replaced itself; what it points to is never touched.
 */
import { link, open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { EngineError } from '../errors';
import { checkFreeSpace, checkOutputPath, outputExists, type Overwrite } from './outputPlace';
import { temporaryPathFor } from './temporaryPath';

export interface OutputFileOptions {
  readonly path: string;
  /** The final size in bytes. */
  readonly fileSize: number;
  /** Written at offset 0. */
  readonly headerBytes: Uint8Array;
  /** Files that must not be overwritten by any means. */
  readonly sourcePaths: readonly string[];
  readonly overwrite: Overwrite;
  /** Part of the temporary file's name (see temporaryPathFor); random where absent. */
  readonly token?: string;
}

export class OutputFile {
  #handle: FileHandle | undefined;

  private constructor(
    readonly path: string,
    readonly temporaryPath: string,
    private readonly options: OutputFileOptions,
    handle: FileHandle,
  ) {
    this.#handle = handle;
  }

  /**
   * Makes the temporary file with its final size and its header. Throws EngineError: OutputIsInput, OutputExists, NotAFile, FileNotFound,
   * PermissionDenied, DiskFull; then nothing is left behind.
   */
  static async create(options: OutputFileOptions): Promise<OutputFile> {
    const path = resolve(options.path);
    try {
      await checkOutputPath(path, options.sourcePaths, options.overwrite);
      await checkFreeSpace(path, options.fileSize);
      const temporaryPath = temporaryPathFor(path, options.token);
      const handle = await open(temporaryPath, 'wx+');
      const output = new OutputFile(path, temporaryPath, options, handle);
      await output.#guarded(async () => {
        await handle.truncate(options.fileSize);
        await writeAll(handle, options.headerBytes, 0);
      });
      return output;
    } catch (error) {
      throw explained(error, path, options.fileSize);
    }
  }

  /** Writes bytes that JavaScript has at hand, e.g. a small literal tensor. */
  async write(bytes: Uint8Array, position: number): Promise<void> {
    const handle = this.#open();
    try {
      await writeAll(handle, bytes, position);
    } catch (error) {
      throw explained(error, this.path, this.options.fileSize);
    }
  }

  /**
   * Makes the file durable and gives it its name. On any error the temporary file is removed. Throws EngineError: OutputExists where `overwrite`
   * is `refuse` and somebody else has made the file meanwhile, OutputIsInput, DiskFull, PermissionDenied, Io.
   */
  async commit(): Promise<void> {
    const handle = this.#open();
    try {
      await this.#guarded(async () => {
        await this.#checkSize(handle);
        await handle.sync();
        await this.#close();
        await this.#giveName();
      });
    } catch (error) {
      throw explained(error, this.path, this.options.fileSize);
    }
    await syncFolder(dirname(this.path));
  }

  /** Removes the temporary file. Harmless after `commit` and when called twice. */
  async discard(): Promise<void> {
    await this.#close();
    await unlink(this.temporaryPath).catch(ignoreMissing);
  }

  async #giveName(): Promise<void> {
    switch (this.options.overwrite) {
      case 'replace':
        // Asked again: a job takes long enough for somebody to move things about.
        await checkOutputPath(this.path, this.options.sourcePaths, 'replace');
        return rename(this.temporaryPath, this.path);
      case 'refuse':
        return nameUnlessTaken(this.temporaryPath, this.path);
    }
  }

  async #checkSize(handle: FileHandle): Promise<void> {
    const { size, nlink } = await handle.stat();
    if (nlink === 0)
      throw new EngineError('Io', `The unfinished output ${this.temporaryPath} was deleted while it was written. Convert again.`, {
        path: this.path,
      });
    if (size === this.options.fileSize) return;
    throw new EngineError(
      'Io',
      `The unfinished output ${this.temporaryPath} has ${size} bytes instead of ${this.options.fileSize}. Convert again.`,
      {
        path: this.path,
      },
    );
  }

  async #guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      await this.discard();
      throw error;
    }
  }

  #open(): FileHandle {
    if (this.#handle === undefined)
      throw new EngineError('Internal', `${this.path} is already committed or discarded.`, { path: this.path });
    return this.#handle;
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }
}

/** A hard link fails where the name is taken, however late somebody took it; a rename would overwrite. */
async function nameUnlessTaken(temporaryPath: string, path: string): Promise<void> {
  try {
    await link(temporaryPath, path);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw outputExists(path);
    if (!NO_HARD_LINKS.has(codeOf(error) ?? '')) throw error;
    return renameOntoClaim(temporaryPath, path);
  }
  await unlink(temporaryPath);
}

/** FAT, some network drives and some containers have no hard links. */
const NO_HARD_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV', 'EINVAL', 'UNKNOWN']);

/** Takes the name with an empty file of ours, which only then is replaced. */
async function renameOntoClaim(temporaryPath: string, path: string): Promise<void> {
  const claim = await open(path, 'wx').catch((error: unknown) => {
    throw codeOf(error) === 'EEXIST' ? outputExists(path) : error;
  });
  await claim.close();
  try {
    await rename(temporaryPath, path);
  } catch (error) {
    await unlink(path);
    throw error;
  }
}

/** Makes the new name durable. Windows and some network drives cannot; the file itself is safe by then. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  try {
    await handle?.sync();
  } catch {
    // See above.
  } finally {
    await handle?.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

function explained(error: unknown, path: string, fileSize: number): EngineError {
  if (error instanceof EngineError) return error;
  const folder = dirname(path);
  const { code, message } = EngineError.wrap(error);
  const sentence = ((): string => {
    switch (codeOf(error)) {
      case 'EFBIG':
        return `The disk of ${folder} takes no file of ${fileSize} bytes. Choose an output on a disk with another file system.`;
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
  })();
  return new EngineError(code, sentence, { path }, { cause: error });
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}
