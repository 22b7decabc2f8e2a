/** The command that puts the collector of calibration files into the workspace, where it is imported beside the model's own code. */
import { readFile, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import { EngineError } from '../engine/errors';

/** In the extension's folder, and what it is called in the workspace. */
const SCRIPT = ['tools', 'collect_calibration.py'] as const;

/**
 * From the palette: no arguments. From code: the folder, and `replace` where a file that differs is not worth a question. Resolves with the
 * script's place, or with `undefined` where the user changed their mind or it could not be written, which is told.
 */
export function registerCalibrationScript(extensionFolder: vscode.Uri): vscode.Disposable {
  return vscode.commands.registerCommand('fp8.createCalibrationScript', async (folder?: unknown, existing?: unknown) => {
    const target = folder instanceof vscode.Uri ? vscode.Uri.joinPath(folder, SCRIPT[1]) : await chooseTarget();
    if (target === undefined) return undefined;
    try {
      const script = await readFile(vscode.Uri.joinPath(extensionFolder, ...SCRIPT).fsPath);
      if (!(await writeScript(script, target.fsPath, existing === 'replace' ? 'replace' : 'ask'))) return undefined;
    } catch (error) {
      void vscode.window.showErrorMessage(`${target.fsPath} was not written. ${EngineError.wrap(error).message}`);
      return undefined;
    }
    await vscode.window.showTextDocument(target);
    return target;
  });
}

/** The only folder of the workspace, else the one that the user picks; without a workspace, what the user names. */
async function chooseTarget(): Promise<vscode.Uri | undefined> {
  const folders = vscode.workspace.workspaceFolders ?? [];
  if (folders.length === 0) {
    return vscode.window.showSaveDialog({
      title: 'Create Calibration Script',
      saveLabel: 'Create',
      defaultUri: vscode.Uri.file(SCRIPT[1]),
      filters: { Python: ['py'] },
    });
  }
  const folder =
    folders.length === 1 ? folders[0] : await vscode.window.showWorkspaceFolderPick({ placeHolder: 'Where to put the script' });
  return folder === undefined ? undefined : vscode.Uri.joinPath(folder.uri, SCRIPT[1]);
}

/** False where the user would rather keep what is there. */
async function writeScript(script: Buffer, path: string, existing: 'ask' | 'replace'): Promise<boolean> {
  const found = await readFile(path).catch(() => undefined);
  if (found?.equals(script) === true) return true;
  if (found !== undefined && existing === 'ask') {
    const replace = 'Replace';
    const answer = await vscode.window.showWarningMessage(
      `“${basename(path)}” already exists, and differs.`,
      { modal: true, detail: `It is in ${dirname(path)}. Replacing it cannot be undone.` },
      replace,
    );
    if (answer !== replace) return false;
  }
  // What came to be since is not written over unasked.
  await writeFile(path, script, { flag: found === undefined ? 'wx' : 'w' });
  return true;
}
