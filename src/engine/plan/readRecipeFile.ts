/** readRecipeFile: a recipe file from disk. */
import { readFile } from 'node:fs/promises';
import { EngineError } from '../errors';
import type { Recipe } from './recipe';
import { parseRecipeFile } from './recipeFile';

/** Throws EngineError: FileNotFound, InvalidRecipe, Io. */
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
  return parseRecipeFile(text, path);
}
