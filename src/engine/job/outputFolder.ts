/**
 * OutputFolder: shards, or a whole folder, that appear complete or not at all.
 *
 * All of it is written into a temporary folder beside its place. A folder then gets its name by one rename. Shards are moved to their names one
 * after the other, the index last of all; where one of them cannot be, those that were moved are moved back.
 */
import { lstat, mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { EngineError } from '../errors';
import { renameUnlessTaken, syncFolder } from '../safetensors/durableName';
import { errnoOf, explainWriteError } from '../safetensors/outputErrors';
import { checkFolder, checkFreeSpace, checkOutputPath, type Overwrite } from '../safetensors/outputPlace';
import { temporaryPathFor } from '../safetensors/temporaryPath';

export interface OutputFolderOptions {
  /** The folder, or the index of the shards. */
  readonly path: string;
  readonly form: 'shards' | 'folder';
  /** Every file that will be written, the index last. */
  readonly names: readonly string[];
  /** Of all of them together. */
  readonly bytes: number;
  /** Files that must not be overwritten by any means. */
  readonly sourcePaths: readonly string[];
  readonly overwrite: Overwrite;
  readonly token: string;
}

export class OutputFolder {
  private constructor(
    private readonly options: OutputFolderOptions,
    private readonly path: string,
    /** Where the files are written. */
    readonly temporaryPath: string,
  ) {}

  /** Throws EngineError where something forbids the output: OutputIsInput, OutputExists, NotAFile, FileNotFound, DiskFull. Touches nothing. */
  static async check(options: OutputFolderOptions): Promise<void> {
    await OutputFolder.#checked(options);
  }

  /** Throws EngineError: OutputIsInput, OutputExists, NotAFile, FileNotFound, PermissionDenied, DiskFull; then nothing is left behind. */
  static async create(options: OutputFolderOptions): Promise<OutputFolder> {
    const folder = await OutputFolder.#checked(options);
    const { path, temporaryPath } = folder;
    await mkdir(temporaryPath).catch((error: unknown) => Promise.reject(explainWriteError(error, path, options.bytes)));
    return folder;
  }

  static async #checked(options: OutputFolderOptions): Promise<OutputFolder> {
    const path = resolve(options.path);
    const folder = new OutputFolder(options, path, temporaryPathFor(path, options.token));
    await folder.#check();
    await checkFreeSpace(path, options.bytes);
    return folder;
  }

  /** Writes a small file. */
  async write(name: string, bytes: Uint8Array | string): Promise<void> {
    try {
      await mkdir(dirname(join(this.temporaryPath, name)), { recursive: true });
      const file = await open(join(this.temporaryPath, name), 'wx');
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      throw explainWriteError(error, this.path, this.options.bytes);
    }
  }

  /** Gives everything its name. Throws EngineError; then nothing of it is left. */
  async commit(): Promise<void> {
    try {
      await syncFolder(this.temporaryPath);
      await this.#check();
      if (this.options.form === 'folder') await this.#nameFolder();
      else await this.#nameShards();
    } catch (error) {
      await this.discard();
      throw explainWriteError(error, this.path, this.options.bytes);
    }
    await syncFolder(dirname(this.path));
  }

  /** Harmless after `commit`. */
  async discard(): Promise<void> {
    await rm(this.temporaryPath, { recursive: true, force: true });
  }

  async #check(): Promise<void> {
    const { form, names, sourcePaths, overwrite } = this.options;
    if (form === 'folder') return requireFreeFolder(this.path, sourcePaths, overwrite);
    for (const name of names) await checkOutputPath(join(dirname(this.path), name), sourcePaths, overwrite);
  }

  async #nameFolder(): Promise<void> {
    // A rename takes the place of an empty folder on some systems only.
    await rmdir(this.path).catch((error: unknown) => (errnoOf(error) === 'ENOENT' ? undefined : Promise.reject(error as Error)));
    await rename(this.temporaryPath, this.path);
  }

  async #nameShards(): Promise<void> {
    const { names, overwrite } = this.options;
    const moves: { readonly from: string; readonly to: string }[] = [];
    const move = async (from: string, to: string): Promise<void> => {
      await (overwrite === 'replace' ? rename(from, to) : renameUnlessTaken(from, to));
      moves.push({ from, to });
    };
    try {
      for (const name of names) {
        const place = join(dirname(this.path), name);
        if (overwrite === 'replace' && (await exists(place))) await move(place, join(this.temporaryPath, `replaced ${name}`));
        await move(join(this.temporaryPath, name), place);
      }
    } catch (error) {
      for (const { from, to } of moves.reverse()) await rename(to, from);
      throw error;
    }
    await this.discard();
  }
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

/** There is nothing yet, or an empty folder: what somebody has in a folder is never taken away. */
async function requireFreeFolder(path: string, sourcePaths: readonly string[], overwrite: Overwrite): Promise<void> {
  await checkFolder(path);
  if (sourcePaths.some((source) => dirname(resolve(source)) === path))
    throw new EngineError('OutputIsInput', `The output ${path} is the folder of the source itself. Choose another one.`, { path });
  let present: readonly string[];
  try {
    present = await readdir(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    if (errnoOf(error) === 'ENOTDIR')
      throw new EngineError('OutputExists', `${path} is a file, and a folder is to be written. Choose another output.`, { path });
    throw error;
  }
  if (present.length > 0) {
    const whatever = overwrite === 'replace' ? ', and only files are overwritten, no folders' : '';
    throw new EngineError('OutputExists', `The folder ${path} exists and is not empty${whatever}. Choose another output, or remove it.`, {
      path,
    });
  }
}
