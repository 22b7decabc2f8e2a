/** Saving a recipe to a file, and loading one: the dialogs and what they lead to. */
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as vscode from 'vscode';
import { EngineError } from '../../engine/errors';
import { readRecipeFile } from '../../engine/plan/readRecipeFile';
import type { Recipe } from '../../engine/plan/recipe';
import { recipeFileText } from '../../engine/plan/recipeFile';

const FILTERS = { 'FP8 recipe': ['fp8recipe.json', 'json'] };

export async function saveRecipe(source: string, recipe: Recipe): Promise<void> {
  const uri = await vscode.window.showSaveDialog({
    title: 'Save Recipe',
    saveLabel: 'Save Recipe',
    defaultUri: vscode.Uri.file(source.replace(/(\.safetensors)?$/i, '.fp8recipe.json')),
    filters: FILTERS,
  });
  if (uri === undefined) return;
  try {
    await writeFile(uri.fsPath, recipeFileText(recipe));
  } catch (error) {
    void vscode.window.showErrorMessage(`The recipe was not saved. ${EngineError.wrap(error).message}`);
    return;
  }
  const answer = await vscode.window.showInformationMessage(`Saved the recipe to ${uri.fsPath}.`, 'Open');
  if (answer === 'Open') await vscode.window.showTextDocument(uri);
}

/** `undefined` where the user changed their mind, or the file is no recipe, which is told. */
export async function loadRecipe(source: string): Promise<Partial<Recipe> | undefined> {
  const uris = await vscode.window.showOpenDialog({
    title: 'Load Recipe',
    openLabel: 'Load Recipe',
    defaultUri: vscode.Uri.file(join(dirname(source), '.')),
    filters: FILTERS,
  });
  const [uri] = uris ?? [];
  if (uri === undefined) return undefined;
  try {
    return await readRecipeFile(uri.fsPath);
  } catch (error) {
    void showRefusal(uri, EngineError.wrap(error).message);
    return undefined;
  }
}

async function showRefusal(uri: vscode.Uri, message: string): Promise<void> {
  const answer = await vscode.window.showErrorMessage(`The recipe was not loaded. ${message}`, 'Open');
  if (answer === 'Open') await vscode.window.showTextDocument(uri);
}
