/** JobOutput: where the parts of a job's output are written, and how they become the output together. */
import { basename, dirname, join, resolve } from 'node:path';
import type { OutputParts } from '../plan/outputForm';
import type { Plan } from '../plan/plan';
import type { ModelSource } from '../safetensors/modelSource';
import { shardIndexText } from '../safetensors/shardIndex';
import type { ConvertRequest } from './convertRequest';
import { checkFreeSpace, checkOutputPath } from '../safetensors/outputPlace';
import { OutputFolder, type OutputFolderOptions } from './outputFolder';
import { PartialOutput } from './partialOutput';

/** A small file that goes along with the model. */
export interface CarriedFile {
  /** Its path within the folder. */
  readonly name: string;
  readonly bytes: Uint8Array | string;
}

export class JobOutput {
  #folder: OutputFolder | undefined;
  readonly #parts: PartialOutput[] = [];

  constructor(
    private readonly request: Pick<ConvertRequest, 'output' | 'overwrite'>,
    private readonly source: ModelSource,
    private readonly shape: OutputParts,
    private readonly token: string,
  ) {}

  /** Throws EngineError where what is there already, or a full disk, forbids the output. Touches nothing. */
  async check(): Promise<void> {
    const folder = this.#folderOptions();
    if (folder !== undefined) return OutputFolder.check(folder);
    const path = resolve(this.request.output);
    await checkOutputPath(path, this.#sourcePaths(), this.request.overwrite);
    await checkFreeSpace(path, this.#bytes());
  }

  /** Takes the output's place: whatever forbids it is known from now on. The first part has begun. Throws EngineError. */
  async begin(): Promise<void> {
    const folder = this.#folderOptions();
    if (folder !== undefined) this.#folder = await OutputFolder.create(folder);
    await this.part(0);
  }

  /** The part's file, begun with its plan. */
  async part(index: number): Promise<PartialOutput> {
    const known = this.#parts[index];
    if (known !== undefined) return known;
    const { name, plan } = this.shape.parts[index] ?? { name: '', plan: undefined };
    const place = this.#folder === undefined ? { path: this.request.output, overwrite: this.request.overwrite } : this.#placeOf(name);
    const output = new PartialOutput({ ...place, sourcePaths: this.#sourcePaths() }, this.token);
    this.#parts[index] = output;
    if (plan !== undefined) await output.begin(plan);
    return output;
  }

  /** Makes one part durable. It still has no name that anybody would look for, unless it is the whole output. */
  async commitPart(index: number, signal: AbortSignal): Promise<void> {
    await this.#parts[index]?.commit(signal);
  }

  /** After this the output is there and stays. `plans` are those that the parts follow in the end. */
  async commit(plans: readonly Plan[], carried: readonly CarriedFile[], signal: AbortSignal): Promise<void> {
    const folder = this.#folder;
    if (folder === undefined) return;
    signal.throwIfAborted();
    for (const { name, bytes } of carried) await folder.write(name, bytes);
    const { indexName, parts } = this.shape;
    if (indexName !== undefined)
      await folder.write(
        indexName,
        this.#indexText(
          plans,
          parts.map(({ name }) => name),
        ),
      );
    signal.throwIfAborted();
    await folder.commit();
  }

  /** Removes what was not committed. */
  async discard(): Promise<void> {
    for (const part of this.#parts) await part.discard();
    await this.#folder?.discard();
  }

  #indexText(plans: readonly Plan[], names: readonly string[]): string {
    const tensors = plans.flatMap(({ output }, index) => output.tensors.map((tensor) => ({ ...tensor, file: names[index] ?? '' })));
    const totalSize = tensors.reduce((sum, { begin, end }) => sum + end - begin, 0);
    return shardIndexText(new Map(tensors.map(({ name, file }) => [name, file])), this.source.index?.metadata ?? {}, totalSize);
  }

  /** Undefined where the output is one file. */
  #folderOptions(): OutputFolderOptions | undefined {
    const { form, parts, indexName } = this.shape;
    if (form === 'file') return undefined;
    return {
      path: this.request.output,
      form,
      names: [...parts.map(({ name }) => name), ...(indexName === undefined ? [] : [indexName])],
      bytes: this.#bytes(),
      sourcePaths: this.#sourcePaths(),
      overwrite: this.request.overwrite,
      token: this.token,
    };
  }

  #bytes(): number {
    return this.shape.parts.reduce((sum, { plan }) => sum + plan.output.fileSize, 0);
  }

  #placeOf(name: string): { readonly path: string; readonly overwrite: 'refuse' } {
    return { path: join(this.#folder?.temporaryPath ?? dirname(resolve(this.request.output)), basename(name)), overwrite: 'refuse' };
  }

  #sourcePaths(): readonly string[] {
    return [...this.source.files, ...(this.source.index === undefined ? [] : [this.source.index.path])];
  }
}
