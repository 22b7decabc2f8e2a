/** The name of an output where the user gives none. */
import { basename, dirname, join, resolve } from 'node:path';
import type { ModelSource } from '../safetensors/modelSource';
import { TARGET_FACTS, TARGETS } from './encoding';
import type { Recipe } from './recipe';

const SUFFIXES = TARGETS.map((target) => TARGET_FACTS[target].suffix).join('|');
const WRITTEN = new RegExp(`^(?<base>.+?)(?:_(?:${SUFFIXES})(?:_nodistill)?)+(?:_(?<round>\\d+))?$`);

/**
 * Beside the source: `<base>_fp8_e4m3fn_scaled[_nodistill].safetensors`, or with the name of another target; of shards and folders a folder, named
 * after theirs. In the place of such an ending that the source has already, and never the source itself.
 */
export function defaultOutputPath(sourcePath: string, recipe: Recipe, kind: ModelSource['kind'] = 'file'): string {
  const { suffix: target } = TARGET_FACTS[recipe.target];
  const suffix = `_${target}${recipe.presets.includes('keep_distillation') ? '_nodistill' : ''}`;
  if (kind !== 'file') {
    const folder = resolve(kind === 'folder' ? sourcePath : dirname(sourcePath));
    return join(dirname(folder), outputName(basename(folder), suffix));
  }
  const base = basename(sourcePath).replace(/\.(safetensors\.index\.json|safetensors|sft)$/i, '');
  return join(dirname(sourcePath), `${outputName(base, suffix)}.safetensors`);
}

/** With the number of the round, where what is rounded anew would have its name again. */
function outputName(base: string, suffix: string): string {
  const { groups } = WRITTEN.exec(base) ?? {};
  const name = `${groups?.['base'] ?? base}${suffix}`;
  const isAgain = base === name || (base.startsWith(`${name}_`) && groups?.['round'] !== undefined);
  return isAgain ? `${name}_${Number(groups?.['round'] ?? 1) + 1}` : name;
}

/** Of what is not rounded: `<base>_<suffix>.safetensors`, or a folder. */
export function storedOutputPath(sourcePath: string, suffix: string, kind: ModelSource['kind']): string {
  if (kind !== 'file') return `${resolve(kind === 'folder' ? sourcePath : dirname(sourcePath))}_${suffix}`;
  return join(
    dirname(sourcePath),
    `${basename(sourcePath).replace(/\.(safetensors\.index\.json|safetensors|sft)$/i, '')}_${suffix}.safetensors`,
  );
}
