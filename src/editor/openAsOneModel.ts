/** "Open as One Model": from an index, a shard or a folder to the editor of the whole model. */
import * as vscode from 'vscode';
import { EngineError } from '../engine/errors';
import { modelFileOf } from '../engine/safetensors/modelSource';
import { activeModel } from './commands';
import { openModel } from './intents';

/** From a menu: what was clicked. From the palette: the model in the active tab, else a folder that the user picks. */
export async function openAsOneModel(clicked: unknown): Promise<void> {
  const uri = clicked instanceof vscode.Uri ? clicked : (activeModel() ?? (await chooseFolder()));
  if (uri === undefined) return;
  try {
    await openModel(await modelFileOf(uri.fsPath));
  } catch (error) {
    void vscode.window.showErrorMessage(EngineError.wrap(error, { path: uri.fsPath }).message);
  }
}

async function chooseFolder(): Promise<vscode.Uri | undefined> {
  const picked = await vscode.window.showOpenDialog({
    title: 'Choose the Folder of a Model',
    openLabel: 'Open as One Model',
    canSelectFiles: false,
    canSelectFolders: true,
  });
  return picked?.[0];
}
