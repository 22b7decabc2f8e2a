/** The name of an output where the user gives none. */
import { basename, dirname, join, resolve } from 'node:path';
import type { ModelSource } from '../safetensors/modelSource';
import { TARGET_FACTS } from './encoding';
import type { Recipe } from './recipe';

/** Beside the source: `<base>_fp8_e4m3fn_scaled[_nodistill].safetensors`, or with the name of another target; of shards and folders a folder, named after theirs. */
export function defaultOutputPath(sourcePath: string, recipe: Recipe, kind: ModelSource['kind'] = 'file'): string {
  const { suffix: target } = TARGET_FACTS[recipe.target];
  const suffix = `_${target}${recipe.presets.includes('keep_distillation') ? '_nodistill' : ''}`;
  if (kind !== 'file') return `${resolve(kind === 'folder' ? sourcePath : dirname(sourcePath))}${suffix}`;
  const base = basename(sourcePath).replace(/\.(safetensors\.index\.json|safetensors|sft)$/i, '');
  return join(dirname(sourcePath), `${base}${suffix}.safetensors`);
}

/** Of what is not rounded: `<base>_<suffix>.safetensors`, or a folder. */
export function storedOutputPath(sourcePath: string, suffix: string, kind: ModelSource['kind']): string {
  if (kind !== 'file') return `${resolve(kind === 'folder' ? sourcePath : dirname(sourcePath))}_${suffix}`;
  return join(
    dirname(sourcePath),
    `${basename(sourcePath).replace(/\.(safetensors\.index\.json|safetensors|sft)$/i, '')}_${suffix}.safetensors`,
  );
}
