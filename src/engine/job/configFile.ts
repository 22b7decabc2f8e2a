/** configFile: the config.json that a layout's loaders read beside the output: the one beside the source, with `quantization_config` added. */
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { EngineError } from '../errors';
import type { Plan } from '../plan/plan';
import { quantizationConfig } from '../plan/quantizationConfig';
import { OutputFile } from '../safetensors/writer';
import type { ConvertRequest } from './convertRequest';

const HOW_TO_SEE = '"fp8 convert --print_config" with the same options shows it.';

/** Resolves with a sentence where loaders will not find what they need. Never throws: the model is complete without it. */
export async function writeConfig(
  plan: Plan,
  place: Pick<ConvertRequest, 'output' | 'overwrite'> & { readonly sourceFolder: string; readonly sourcePaths: readonly string[] },
  token: string,
): Promise<string | undefined> {
  const { output, overwrite, sourceFolder, sourcePaths } = place;
  const added = quantizationConfig(plan);
  if (added === undefined) return undefined;
  const sourcePath = join(resolve(sourceFolder), 'config.json');
  const path = join(dirname(resolve(output)), 'config.json');
  const needed = `Loaders of the layout ${plan.recipe.layout} need quantization_config in config.json`;
  if (path === sourcePath) return `${needed}. ${path} is the source's and stays as it is; ${HOW_TO_SEE}`;
  try {
    const config = configWith(await readFile(sourcePath, 'utf8'), added);
    const bytes = new TextEncoder().encode(config);
    const file = await OutputFile.create({
      path,
      fileSize: bytes.length,
      headerBytes: bytes,
      sourcePaths: [...sourcePaths, output, sourcePath],
      overwrite,
      token,
    });
    await file.commit();
    return undefined;
  } catch (error) {
    if (isMissing(error)) return `${needed}, and there is none beside the source; ${HOW_TO_SEE}`;
    return `${needed}, which could not be written: ${EngineError.wrap(error).message.replace(/\.$/, '')}. ${HOW_TO_SEE}`;
  }
}

/** A config.json with `quantization_config` replaced; without it where there is none. Throws EngineError where the text is no JSON object. */
export function configWith(text: string, added: ReturnType<typeof quantizationConfig>): string {
  const config: unknown = parsed(text);
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new EngineError('Io', 'the config.json beside the source is not a JSON object');
  }
  const { quantization_config: _former, ...others } = config as Readonly<Record<string, unknown>>;
  return `${JSON.stringify(added === undefined ? others : { ...others, quantization_config: added }, undefined, 2)}\n`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
