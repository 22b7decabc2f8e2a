/** The script that collects calibration files: written into the workspace, and never over somebody's own. */
import * as assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import * as vscode from 'vscode';
import { activated, extensionId, inWorkspace } from './extensionUnderTest';

const script = (): vscode.Uri => inWorkspace('collect_calibration.py');

async function packaged(): Promise<string> {
  const extension = vscode.extensions.getExtension(extensionId);
  assert.ok(extension !== undefined);
  return readFile(vscode.Uri.joinPath(extension.extensionUri, 'tools', 'collect_calibration.py').fsPath, 'utf8');
}

function create(...parameters: readonly unknown[]): Thenable<vscode.Uri | undefined> {
  return vscode.commands.executeCommand<vscode.Uri | undefined>('fp8.createCalibrationScript', ...parameters);
}

describe('Create Calibration Script', () => {
  beforeEach(() => activated());
  afterEach(async () => {
    await vscode.commands.executeCommand('workbench.action.closeAllEditors');
    await rm(script().fsPath, { force: true });
  });

  it('writes the collector into the workspace, and opens it', async () => {
    const written = await create();
    assert.equal(written?.fsPath, script().fsPath);
    const text = await readFile(script().fsPath, 'utf8');
    assert.equal(text, await packaged());
    assert.match(text, /^class Collector:$/m);
    assert.equal(vscode.window.activeTextEditor?.document.uri.fsPath, script().fsPath);
    // The same again is nothing to ask about.
    assert.equal((await create())?.fsPath, script().fsPath);
  });

  it('replaces a script that differs only when told to', async () => {
    await writeFile(script().fsPath, '# mine\n');
    // Nobody is there to answer: the host refuses dialogs while it is tested.
    assert.equal(await create(), undefined);
    assert.equal(await readFile(script().fsPath, 'utf8'), '# mine\n');
    const [folder] = vscode.workspace.workspaceFolders ?? [];
    assert.equal((await create(folder?.uri, 'replace'))?.fsPath, script().fsPath);
    assert.equal(await readFile(script().fsPath, 'utf8'), await packaged());
  });
});
