/** The name of an output where the user gives none. */
import { basename, dirname, join } from 'node:path';
import type { Recipe } from './recipe';

/** Beside the source: `<base>_fp8_e4m3fn_scaled[_nodistill].safetensors`. */
export function defaultOutputPath(sourcePath: string, recipe: Recipe): string {
  const base = basename(sourcePath).replace(/\.(safetensors|sft)$/i, '');
  const suffix = recipe.presets.includes('keep_distillation') ? '_nodistill' : '';
  return join(dirname(sourcePath), `${base}_fp8_e4m3fn_scaled${suffix}.safetensors`);
}
