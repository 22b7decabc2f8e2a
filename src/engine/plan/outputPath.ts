/** The name of an output where the user gives none. */
import { basename, dirname, join } from 'node:path';
import { TARGET_FACTS } from './encoding';
import type { Recipe } from './recipe';

/** Beside the source: `<base>_fp8_e4m3fn_scaled[_nodistill].safetensors`, or with the name of another target. */
export function defaultOutputPath(sourcePath: string, recipe: Recipe): string {
  const base = basename(sourcePath).replace(/\.(safetensors|sft)$/i, '');
  const suffix = recipe.presets.includes('keep_distillation') ? '_nodistill' : '';
  return join(dirname(sourcePath), `${base}_${TARGET_FACTS[recipe.target].suffix}${suffix}.safetensors`);
}
