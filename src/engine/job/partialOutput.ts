/** PartialOutput: the temporary files of one output file, of which at most one becomes it. */
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { EngineError } from '../errors';
import type { Plan } from '../plan/plan';
import { temporaryPathFor } from '../safetensors/temporaryPath';
import { statisticsPathFor } from './propagate';
import { OutputFile, type OutputFileOptions } from '../safetensors/writer';
import type { ConvertRequest } from './convertRequest';

/** Every temporary file, or folder of them, that a job with this token may leave behind where its process is killed. */
export function temporaryPathsOf(request: ConvertRequest, token: string): readonly string[] {
  const { output, reportPath } = request;
  const paths = reportPath === undefined ? [output, output] : [output, output, reportPath];
  return [
    ...paths.map((path, index) => temporaryPathFor(resolve(path), index === 1 ? secondToken(token) : token)),
    statisticsPathFor(request, token),
  ];
}

export type OutputPlace = Pick<OutputFileOptions, 'path' | 'sourcePaths' | 'overwrite'>;

export class PartialOutput {
  #current: OutputFile | undefined;
  #previous: OutputFile | undefined;

  constructor(
    private readonly place: OutputPlace,
    private readonly token: string,
  ) {}

  /** The temporary file that tensors are written into. */
  get path(): string {
    return this.#begun().temporaryPath;
  }

  /** Creates the temporary file for a plan, with its header and all bytes that are known already. Once more, the earlier one stays readable. */
  async begin(plan: Plan): Promise<void> {
    if (this.#previous !== undefined) throw new EngineError('Internal', 'the output was begun three times');
    const { fileSize, headerBytes } = plan.output;
    this.#previous = this.#current;
    const token = this.#previous === undefined ? this.token : secondToken(this.token);
    const file = await OutputFile.create({ ...this.place, fileSize, headerBytes, token });
    this.#current = file;
    for (const { origin, begin } of plan.output.tensors) {
      if (origin.kind === 'literal') await file.write(origin.bytes, begin);
    }
  }

  /** After this the output is there and stays. Until its bytes have reached the disk, which may take a while, an abort is obeyed. */
  async commit(signal: AbortSignal): Promise<void> {
    const file = this.#begun();
    await syncUnlessAborted(file.temporaryPath, signal);
    await this.#previous?.discard();
    await file.commit();
  }

  /** Removes what was not committed. */
  async discard(): Promise<void> {
    await this.#previous?.discard();
    await this.#current?.discard();
  }

  #begun(): OutputFile {
    if (this.#current === undefined) throw new EngineError('Internal', 'the output was not begun');
    return this.#current;
  }
}

function secondToken(token: string): string {
  return `${token}-2`;
}

/** A running fsync cannot be stopped; on an abort it is left to end by itself. */
async function syncUnlessAborted(path: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const handle = await open(path, 'r+');
  const synced = handle.sync().finally(() => handle.close());
  let stop: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop);
  });
  try {
    await Promise.race([synced, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
    synced.catch(() => undefined);
  }
}
