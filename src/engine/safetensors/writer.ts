/**
 * OutputFile: an output that appears complete or not at all.
 *
 * It is written as a temporary file beside its place, in any order and by anyone who knows `temporaryPath`; `commit` makes it durable and gives
 * it its name. An output path that is a symbolic link is replaced itself; what it points to is never touched.
 */
import { open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { EngineError } from '../errors';
import { renameUnlessTaken, syncFolder } from './durableName';
import { errnoOf, explainWriteError } from './outputErrors';
import { checkFreeSpace, checkOutputPath, type Overwrite } from './outputPlace';
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
      throw explainWriteError(error, path, options.fileSize);
    }
  }

  /** Writes bytes that JavaScript has at hand, e.g. a small literal tensor. */
  async write(bytes: Uint8Array, position: number): Promise<void> {
    const handle = this.#open();
    try {
      await writeAll(handle, bytes, position);
    } catch (error) {
      throw explainWriteError(error, this.path, this.options.fileSize);
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
      throw explainWriteError(error, this.path, this.options.fileSize);
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
        return renameUnlessTaken(this.temporaryPath, this.path);
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

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

function ignoreMissing(error: unknown): void {
  if (errnoOf(error) !== 'ENOENT') throw error;
}
