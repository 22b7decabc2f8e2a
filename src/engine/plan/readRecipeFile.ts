/** readRecipeFile: a recipe file from disk. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { EngineError } from '../errors';
import type { Recipe } from './recipe';
import { parseRecipeFile } from './recipeFile';

/** Paths in it are absolute afterwards: they start at the file's folder. Throws EngineError: FileNotFound, InvalidRecipe, Io. */
export async function readRecipeFile(path: string): Promise<Partial<Recipe>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (missing)
      throw new EngineError('FileNotFound', `${path}: there is no such recipe file. Check the path.`, { path }, { cause: error });
    throw new EngineError(
      'Io',
      `${path}: the recipe cannot be read. ${error instanceof Error ? error.message : ''}`,
      { path },
      { cause: error },
    );
  }
  const recipe = parseRecipeFile(text, path);
  const { calibration } = recipe;
  return typeof calibration === 'string' ? { ...recipe, calibration: resolve(dirname(path), calibration) } : recipe;
}
