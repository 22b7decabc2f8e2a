/** The extension as its suites meet it: activated, with files of the open workspace and whatever they must wait for. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { ConversionOutcome } from '../../../src/editor/conversion/conversionState';
import type { DrawnFile } from '../../../src/editor/editorSession';
import type { ExtensionApi } from '../../../src/extension';

export const extensionId = 'fp8-quantizer.fp8-quantizer';
export const viewType = 'fp8.safetensors';

export async function activated(): Promise<ExtensionApi> {
  const extension = vscode.extensions.getExtension<ExtensionApi>(extensionId);
  if (extension === undefined) throw new Error(`There is no extension ${extensionId}.`);
  return extension.activate();
}

export function workspaceFolder(): string {
  const [folder] = vscode.workspace.workspaceFolders ?? [];
  if (folder === undefined) throw new Error('No folder is open.');
  return folder.uri.fsPath;
}

export function inWorkspace(name: string): vscode.Uri {
  return vscode.Uri.file(join(workspaceFolder(), name));
}

/** What the next drawing of this file shows, once `cause` has run. */
export async function drawnAfter(uri: vscode.Uri, cause: () => PromiseLike<unknown>): Promise<DrawnFile['state']> {
  const { onDidDraw } = await activated();
  let subscription: vscode.Disposable | undefined;
  const drawn = new Promise<DrawnFile['state']>((resolve) => {
    subscription = onDidDraw((file) => {
      if (file.uri.fsPath === uri.fsPath) resolve(file.state);
    });
  });
  try {
    await cause();
    return await drawn;
  } finally {
    subscription?.dispose();
  }
}

export function open(uri: vscode.Uri): Promise<DrawnFile['state']> {
  return drawnAfter(uri, () => vscode.commands.executeCommand('vscode.open', uri));
}

export async function convert(source: vscode.Uri, outputName: string): Promise<ConversionOutcome> {
  await activated();
  const outcome = await vscode.commands.executeCommand<ConversionOutcome | undefined>('fp8.convert', source, {
    path: join(workspaceFolder(), outputName),
    overwrite: 'refuse',
  });
  if (outcome === undefined) throw new Error('No conversion was started.');
  return outcome;
}

/** Names in the workspace that a conversion to `outputName` may leave behind, its temporary file included. */
export async function leftBehind(outputName: string): Promise<readonly string[]> {
  return (await readdir(workspaceFolder())).filter((name) => name.includes(outputName.replace('.safetensors', '')));
}

export async function removeAll(...outputNames: readonly string[]): Promise<void> {
  for (const outputName of outputNames) {
    for (const name of await leftBehind(outputName)) await rm(join(workspaceFolder(), name), { force: true });
  }
}

/** Waits until `look` finds something. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 90_000;
  while (Date.now() < deadline) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`Nothing came of: ${what}.`);
}
