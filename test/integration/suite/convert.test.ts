/** "Convert to FP8" from the command to the file: done, cancelled, refused, and when the engine is killed. */
import * as assert from 'node:assert/strict';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { readHeader } from '../../../src/engine/safetensors/reader';
import { writeLargeModel } from '../../support/largeModel';
import { brokenName, modelName } from '../../support/workspace';
import { convert, eventually, inWorkspace, leftBehind, open, removeAll } from './extensionUnderTest';

const outputName = 'converted.safetensors';
const largeName = 'large.safetensors';

describe('Convert to FP8', () => {
  const source = inWorkspace(modelName);
  const large = inWorkspace(largeName);

  const useThreads = (count: number | undefined): Thenable<void> =>
    vscode.workspace.getConfiguration('fp8').update('threads', count, vscode.ConfigurationTarget.Workspace);

  before(async () => {
    await writeLargeModel(large.fsPath);
    await useThreads(1);
  });
  after(async () => {
    await useThreads(undefined);
    await rm(large.fsPath, { force: true });
  });
  afterEach(async () => {
    await vscode.commands.executeCommand('workbench.action.closeAllEditors');
    await vscode.commands.executeCommand('notifications.clearAll');
    await removeAll(outputName);
  });

  it('writes the converted model, which the editor opens', async () => {
    const original = await readFile(source.fsPath);
    const outcome = await convert(source, outputName);
    assert.ok(outcome.phase === 'done', JSON.stringify(outcome));
    assert.deepEqual(await leftBehind(outputName), [outputName]);
    const header = await readHeader(outcome.output);
    assert.equal(header.byName.get('model.layers.0.mlp.up_proj.weight')?.dtype, 'F8_E4M3');
    assert.equal((await stat(outcome.output)).size, outcome.report.summary.bytesOut);
    assert.equal(outcome.report.tensors.length, 48);
    assert.ok(original.equals(await readFile(source.fsPath)), 'the source is as it was');
    assert.equal((await open(vscode.Uri.file(outcome.output))).kind, 'valid');
  });

  it('keeps a report that nobody looked at, and lists it first', async () => {
    const outcome = await convert(source, outputName);
    assert.equal(outcome.phase, 'done');
    void vscode.commands.executeCommand('fp8.showReport');
    const label = await eventually('the report of the first entry opens', async () => {
      // Does nothing while no list is there.
      await vscode.commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem');
      const tab = vscode.window.tabGroups.activeTabGroup.activeTab;
      return tab?.input instanceof vscode.TabInputWebview && tab.input.viewType.endsWith('fp8.report') ? tab.label : undefined;
    });
    assert.equal(label, 'converted report');
  });

  it('refuses to replace a file that it was not told to replace', async () => {
    await writeFile(inWorkspace(outputName).fsPath, 'precious');
    const outcome = await convert(source, outputName);
    assert.ok(outcome.phase === 'failed');
    assert.equal(outcome.error.code, 'OutputExists');
    assert.equal(await readFile(inWorkspace(outputName).fsPath, 'utf8'), 'precious');
  });

  it('says what is wrong with a file that is no model', async () => {
    const outcome = await convert(inWorkspace(brokenName), outputName);
    assert.ok(outcome.phase === 'failed');
    assert.equal(outcome.error.code, 'InvalidSafetensors');
    assert.match(outcome.error.message, /broken\.safetensors/);
    assert.deepEqual(await leftBehind(outputName), []);
  });

  it('stops at Cancel and leaves nothing', async () => {
    const ended = convert(large, outputName);
    await eventually('a temporary file appears', async () => ((await leftBehind(outputName)).length > 0 ? true : undefined));
    await vscode.commands.executeCommand('fp8.cancelConversion', large);
    assert.equal((await ended).phase, 'cancelled');
    assert.deepEqual(await leftBehind(outputName), []);
  });

  it('runs on when its editor is closed', async () => {
    await open(source);
    const ended = convert(source, outputName);
    await vscode.commands.executeCommand('workbench.action.closeAllEditors');
    assert.equal((await ended).phase, 'done');
  });

  it('survives a killed engine: a clear error, no file, and the next conversion works', async function () {
    if (process.platform !== 'linux') this.skip();
    const ended = convert(large, outputName);
    const engine = await eventually('an engine process writes', async () =>
      (await leftBehind(outputName)).length > 0 ? (await childrenRunning('engine.js'))[0] : undefined,
    );
    process.kill(engine, 'SIGKILL');
    const outcome = await ended;
    assert.ok(outcome.phase === 'failed', JSON.stringify(outcome));
    assert.equal(outcome.error.code, 'EngineCrashed');
    assert.match(outcome.error.message, /kill/i);
    assert.deepEqual(await leftBehind(outputName), []);
    assert.equal((await convert(source, outputName)).phase, 'done');
  });
});

/** Process ids of this process's children whose command line names `file`. */
async function childrenRunning(file: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const id of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const status = await readFile(join('/proc', id, 'status'), 'utf8').catch(() => '');
    const command = await readFile(join('/proc', id, 'cmdline'), 'utf8').catch(() => '');
    if (new RegExp(`^PPid:\\s*${process.pid}$`, 'm').test(status) && command.includes(file)) found.push(Number(id));
  }
  return found;
}
