/** readRecipeFile: a recipe file from disk. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { EngineError } from '../errors';
import type { Recipe } from './recipe';
import { parseRecipeFile, RECIPE_FILE_SUFFIX } from './recipeFile';

/** No recipe is longer, and a model that is named by mistake should not be read. */
const MOST_BYTES = 16e6;

/** Paths in it are absolute afterwards: they start at the file's folder. Throws EngineError: FileNotFound, InvalidRecipe, Io. */
export async function readRecipeFile(path: string): Promise<Partial<Recipe>> {
  let text: string;
  try {
    const status = await stat(path);
    if (status.isDirectory())
      throw new EngineError('NotAFile', `${path} is a folder. Name a recipe file in it (*${RECIPE_FILE_SUFFIX}).`, { path });
    if (status.size > MOST_BYTES)
      throw new EngineError('InvalidRecipe', `${path}: it is too large for a recipe. Check the path.`, { path });
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof EngineError) throw error;
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
