/** configFile: the config.json that a layout's loaders read with the output: the one of the source, with `quantization_config` added. */
import { withJsonMember, withoutJsonMembers } from '../../base/jsonMembers';
import { jsonObject, parsedJson } from '../../base/json';
import { lstat, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { EngineError } from '../errors';
import type { Plan, PlannedTensor } from '../plan/plan';
import { quantizationConfig, type QuantizationConfig } from '../plan/quantizationConfig';
import { checkOutputPath } from '../safetensors/outputPlace';
import { OutputFile } from '../safetensors/writer';
import type { ConvertRequest } from './convertRequest';
import type { CarriedFile } from './jobOutput';

const NAME = 'config.json';
const HOW_TO_SEE = '"fp8 convert --print_config" with the same options shows it.';

/** What goes along into an output folder: with the configuration as loaders of the layout want it. Throws EngineError Io. */
export async function configWithin(plan: Plan, sourceFolder: string, carried: readonly CarriedFile[]): Promise<readonly CarriedFile[]> {
  const added = quantizationConfig(asQuantized(plan));
  if (added === undefined) return readsCodes(plan) ? carried.map(withoutFormer) : carried;
  const others = carried.filter(({ name }) => name !== NAME);
  const config = (await configOf(sourceFolder)) ?? '{}';
  return [...others, { name: NAME, bytes: configWith(config, added) }];
}

type Place = Pick<ConvertRequest, 'output' | 'overwrite'>;

/** What becomes of the config.json beside an output that is no folder of its own. */
export type ConfigBeside =
  | { readonly kind: 'not needed' }
  /** `why`: a sentence. */
  | { readonly kind: 'impossible'; readonly why: string }
  | { readonly kind: 'written' | 'replaced'; readonly path: string; readonly bytes: Uint8Array };

/** Writes nothing, and never throws. */
export async function planConfigBeside(plan: Plan, sourceFolder: string, { output, overwrite }: Place): Promise<ConfigBeside> {
  const added = quantizationConfig(asQuantized(plan));
  if (added === undefined) return { kind: 'not needed' };
  const path = join(dirname(resolve(output)), NAME);
  const needed = neededBy(plan);
  const impossible = (why: string): ConfigBeside => ({ kind: 'impossible', why });
  if (dirname(path) === resolve(sourceFolder)) return impossible(`${needed}. The source's own stays as it is; ${HOW_TO_SEE}`);
  try {
    const config = await configOf(sourceFolder);
    if (config === undefined) return impossible(`${needed}, and there is none beside the source; ${HOW_TO_SEE}`);
    const bytes = new TextEncoder().encode(configWith(config, added));
    await checkOutputPath(path, [output, join(sourceFolder, NAME)], overwrite);
    const former = await lstat(path).catch(() => undefined);
    return { kind: former === undefined ? 'written' : 'replaced', path, bytes };
  } catch (error) {
    return impossible(unwritten(plan, error));
  }
}

/** Resolves with what became of it. Never throws: the model is complete without it. */
export async function writeConfigBeside(plan: Plan, sourceFolder: string, place: Place, token: string): Promise<ConfigBeside> {
  const planned = await planConfigBeside(plan, sourceFolder, place);
  if (planned.kind === 'not needed' || planned.kind === 'impossible') return planned;
  const { path, bytes } = planned;
  const sourcePaths = [place.output, join(sourceFolder, NAME)];
  try {
    const { overwrite } = place;
    const file = await OutputFile.create({ path, fileSize: bytes.length, headerBytes: bytes, sourcePaths, overwrite, token });
    await file.commit();
    return planned;
  } catch (error) {
    return { kind: 'impossible', why: unwritten(plan, error) };
  }
}

/** For the report; undefined where nothing was written. */
export function configNote(config: Pick<ConfigBeside, 'kind'>): string | undefined {
  switch (config.kind) {
    case 'written':
      return `${NAME} was written beside it, with the quantization_config that its loaders need.`;
    case 'replaced':
      return `${NAME} beside it was replaced by one with the quantization_config that its loaders need.`;
    case 'not needed':
    case 'impossible':
      return undefined;
  }
}

function neededBy({ recipe }: Plan): string {
  return `Loaders of the layout ${recipe.layout} need quantization_config in ${NAME}`;
}

function unwritten(plan: Plan, error: unknown): string {
  return `${neededBy(plan)}, which cannot be written: ${EngineError.wrap(error).message.replace(/\.$/, '')}. ${HOW_TO_SEE}`;
}

/** What a migration keeps is quantized all the same, as far as loaders are concerned. */
function asQuantized(plan: Plan): Plan {
  const tensors = plan.tensors.map((tensor): PlannedTensor =>
    tensor.quantization === undefined ? tensor : { ...tensor, action: 'quantize' },
  );
  return { ...plan, tensors };
}

/** Whether the source's own description of its quantization is true no longer. */
function readsCodes({ tensors }: Plan): boolean {
  return tensors.some(({ stored, rule }) => stored !== undefined || rule === 'migrated');
}

function withoutFormer(file: CarriedFile): CarriedFile {
  if (file.name !== NAME) return file;
  const text = typeof file.bytes === 'string' ? file.bytes : new TextDecoder().decode(file.bytes);
  if (jsonObject(parsedJson(text)) === undefined) return file;
  return { name: NAME, bytes: withoutJsonMembers(text, ['quantization_config', 'compression_config']) };
}

async function configOf(folder: string): Promise<string | undefined> {
  try {
    return await readFile(join(folder, NAME), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Throws EngineError where the text is no JSON object. */
function configWith(text: string, added: QuantizationConfig): string {
  if (jsonObject(parsedJson(text)) === undefined) {
    throw new EngineError('Io', `the source's ${NAME} is not a JSON object. Mend it, then convert again.`);
  }
  return withJsonMember(text, 'quantization_config', added);
}
