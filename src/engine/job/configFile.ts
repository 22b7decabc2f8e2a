/** configFile: the config.json that a layout's loaders read with the output: the one of the source, with `quantization_config` added. */
import { withJsonMember, withoutJsonMembers } from '../../base/jsonMembers';
import { jsonObject, parsedJson } from '../../base/json';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { EngineError } from '../errors';
import type { Plan } from '../plan/plan';
import { quantizationConfig, type QuantizationConfig } from '../plan/quantizationConfig';
import { OutputFile } from '../safetensors/writer';
import type { ConvertRequest } from './convertRequest';
import type { CarriedFile } from './jobOutput';

const NAME = 'config.json';
const HOW_TO_SEE = '"fp8 convert --print_config" with the same options shows it.';

/** What goes along into an output folder: with the configuration as loaders of the layout want it. Throws EngineError Io. */
export async function configWithin(plan: Plan, sourceFolder: string, carried: readonly CarriedFile[]): Promise<readonly CarriedFile[]> {
  const added = quantizationConfig(plan);
  if (added === undefined) return readsCodes(plan) ? carried.map(withoutFormer) : carried;
  const others = carried.filter(({ name }) => name !== NAME);
  const config = (await configOf(sourceFolder)) ?? '{}';
  return [...others, { name: NAME, bytes: configWith(config, added) }];
}

/**
 * Writes it beside an output that is no folder of its own. Resolves with a sentence where loaders will not find what they need. Never throws: the
 * model is complete without it.
 */
export async function configBeside(
  plan: Plan,
  sourceFolder: string,
  { output, overwrite }: Pick<ConvertRequest, 'output' | 'overwrite'>,
  token: string,
): Promise<string | undefined> {
  const added = quantizationConfig(plan);
  if (added === undefined) return undefined;
  const path = join(dirname(resolve(output)), NAME);
  const needed = `Loaders of the layout ${plan.recipe.layout} need quantization_config in ${NAME}`;
  if (dirname(path) === resolve(sourceFolder)) return `${needed}. The source's own stays as it is; ${HOW_TO_SEE}`;
  try {
    const config = await configOf(sourceFolder);
    if (config === undefined) return `${needed}, and there is none beside the source; ${HOW_TO_SEE}`;
    const bytes = new TextEncoder().encode(configWith(config, added));
    const sourcePaths = [output, join(sourceFolder, NAME)];
    const file = await OutputFile.create({ path, fileSize: bytes.length, headerBytes: bytes, sourcePaths, overwrite, token });
    await file.commit();
    return undefined;
  } catch (error) {
    return `${needed}, which could not be written: ${EngineError.wrap(error).message.replace(/\.$/, '')}. ${HOW_TO_SEE}`;
  }
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
