/** The editor's contract with VS Code: what it registers, what it opens, and that it follows the file. */
import * as assert from 'node:assert/strict';
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { TOY_MODEL } from '../../support/modelFile';
import { writeShardedModel } from '../../support/shardedModel';
import { brokenName, modelName } from '../../support/workspace';
import { activated, drawnAfter, extensionId, inWorkspace, open, viewType } from './extensionUnderTest';

afterEach(() => vscode.commands.executeCommand('workbench.action.closeAllEditors'));

describe('the extension', () => {
  it('registers every command that it contributes', async () => {
    await activated();
    const { contributes } = vscode.extensions.getExtension(extensionId)?.packageJSON as {
      contributes: { commands: { command: string }[] };
    };
    const registered = new Set(await vscode.commands.getCommands(true));
    const contributed = contributes.commands.map(({ command }) => command);
    assert.ok(contributed.includes('fp8.convert'));
    assert.deepEqual(
      contributed.filter((command) => !registered.has(command)),
      [],
    );
  });

  it('never loads the addon into the extension host', async () => {
    await open(inWorkspace(modelName));
    const { sharedObjects } = process.report.getReport() as { readonly sharedObjects: readonly string[] };
    assert.ok(sharedObjects.length > 0);
    assert.deepEqual(
      sharedObjects.filter((path) => basename(path) === 'fp8.node'),
      [],
    );
  });
});

describe('the custom editor', () => {
  it('opens a model by default, and draws its inventory', async () => {
    const uri = inWorkspace(modelName);
    const state = await open(uri);
    const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
    assert.ok(input instanceof vscode.TabInputCustom);
    assert.equal(input.viewType, viewType);
    assert.equal(input.uri.fsPath, uri.fsPath);
    assert.ok(state.kind === 'valid');
    assert.equal(state.header.tensors.length, 48);
    assert.equal(state.plan.tensors.filter(({ action }) => action === 'quantize').length, 35);
  });

  it('draws a page for a file that is no model, and says why', async () => {
    const state = await open(inWorkspace(brokenName));
    assert.ok(state.kind === 'invalid');
    assert.equal(state.error.code, 'InvalidSafetensors');
    assert.match(state.error.message, /web page/);
  });

  it('follows the file: repaired, broken again, gone and back', async () => {
    const uri = inWorkspace('changing.safetensors');
    await writeFile(uri.fsPath, 'not a model');
    try {
      assert.equal((await open(uri)).kind, 'invalid');
      const changedTo = (cause: () => Promise<unknown>) => drawnAfter(uri, cause);
      assert.equal((await changedTo(() => copyFile(inWorkspace(modelName).fsPath, uri.fsPath))).kind, 'valid');
      const gone = await changedTo(() => rm(uri.fsPath));
      assert.ok(gone.kind === 'invalid');
      assert.equal(gone.error.code, 'FileNotFound');
      assert.equal((await changedTo(() => copyFile(inWorkspace(modelName).fsPath, uri.fsPath))).kind, 'valid');
    } finally {
      await rm(uri.fsPath, { force: true });
    }
  });

  it('plans anew when a setting changes', async () => {
    const uri = inWorkspace(modelName);
    const before = await open(uri);
    const settings = vscode.workspace.getConfiguration('fp8', uri);
    const target = vscode.ConfigurationTarget.Workspace;
    try {
      const after = await drawnAfter(uri, () => settings.update('layout', 'comfyui-legacy', target));
      assert.ok(before.kind === 'valid' && after.kind === 'valid');
      assert.equal(before.plan.recipe.layout, 'comfyui');
      assert.equal(after.plan.recipe.layout, 'comfyui-legacy');
      assert.ok(after.plan.output.tensors.some(({ name }) => name.endsWith('.scale_weight')));
    } finally {
      await settings.update('layout', undefined, target);
    }
  });
});

describe('Open as One Model', () => {
  it('opens the whole model from its index, from a shard and from its folder', async () => {
    const folder = inWorkspace('sharded').fsPath;
    await mkdir(folder);
    try {
      const { index, shards } = await writeShardedModel(folder, TOY_MODEL, 3);
      const editor = vscode.Uri.file(index);
      for (const path of [index, shards[1] ?? '', folder]) {
        const state = await drawnAfter(editor, () => vscode.commands.executeCommand('fp8.openAsOneModel', vscode.Uri.file(path)));
        assert.ok(state.kind === 'valid');
        assert.equal(state.header.tensors.length, TOY_MODEL.length);
        assert.deepEqual(state.files, shards);
        const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
        assert.ok(input instanceof vscode.TabInputCustom);
        assert.equal(input.uri.fsPath, index);
        await vscode.commands.executeCommand('workbench.action.closeAllEditors');
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
