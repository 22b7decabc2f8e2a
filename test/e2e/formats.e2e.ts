/** What is written, and for whom: targets, granularities and layouts with their refusals, sources that are quantized already, and models in shards. */
import * as assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { FrameLocator } from 'playwright-core';
import { readHeader } from '../../src/engine/safetensors/reader';
import { accessibilityFindings } from '../support/accessibility';
import { TOY_MODEL } from '../support/modelFile';
import { takePicture } from '../support/pictures';
import { reads } from '../support/reads';
import { withFiles, type Preparation, type Scenario } from '../support/scenario';
import { writeShardedModel } from '../support/shardedModel';
import { modelName } from '../support/workspace';

const quantizedName = 'converted.safetensors';

export const targetAndLayout: Scenario = async (context) => {
  const { workbench, workspace, step } = context;
  await workbench.resize(1500, 1000);
  const frame = await drawn(await workbench.openInCustomEditor(modelName));
  const forecast = frame.locator('.forecast');
  const choose = (label: string, key: 'Home' | 'End' | 'ArrowUp') => frame.getByRole('combobox', { name: label, exact: true }).press(key);
  await step('see what each target comes to', async () => {
    await forecast.getByText('FP8 35').waitFor();
    await choose('Target', 'End');
    await forecast.getByText('NVFP4 35').waitFor();
    await frame.getByRole('button', { name: 'Convert to NVFP4' }).waitFor();
    await frame.locator('.strip-name', { hasText: 'kjv-lm_nvfp4.safetensors' }).waitFor();
    await choose('Target', 'Home');
    await forecast.getByText('FP8 35').waitFor();
  });
  await step('be refused a scale for each block in ComfyUI, before anything is pressed', async () => {
    // Of 64 × 64, into which every weight of the model divides. Keys are pressed faster than they are answered.
    for (const key of ['End', 'ArrowUp', 'ArrowUp'] as const) await choose('Granularity', key);
    const granularity = frame.getByRole('combobox', { name: 'Granularity' });
    await granularity.and(frame.locator('[current-value="block:64x64"]')).waitFor();
    await forecast.locator('.forecast-error').waitFor();
    await reads(forecast, /ComfyUI takes FP8 E4M3 with one scale for each tensor, not in blocks\./);
    await frame.getByRole('button', { name: 'Convert to FP8' }).and(frame.locator('[disabled]')).waitFor();
    await frame.locator('.strip', { hasText: 'This cannot be converted as it is chosen' }).waitFor();
    assert.deepEqual(await serious(frame), []);
    await takePicture(context, 'panel-refused');
  });
  await step('take the way out that keeps the blocks', async () => {
    await frame.getByRole('group', { name: 'Ways out' }).getByRole('button', { name: 'Layout Hugging Face' }).click();
    await forecast.getByText('FP8 35').waitFor();
    await forecast.locator('.forecast-error').waitFor({ state: 'detached' });
    await frame.locator('vscode-dropdown[aria-label="Layout"]:focus').waitFor();
    await frame.locator('.strip', { hasText: 'blocks of 64 × 64 · Hugging Face layout' }).waitFor();
  });
  await step('fold what is not needed, also for the next editor', async () => {
    await frame.locator('[data-section="format"] > summary').click();
    await frame.locator('[data-section="format"] .section-summary', { hasText: 'FP8 E4M3 · Hugging Face' }).waitFor();
    await workbench.command('View: Close All Editors');
    await drawn(await workbench.openInCustomEditor(modelName));
    await frame.locator('[data-section="format"]:not([open]) .section-summary', { hasText: 'Hugging Face' }).waitFor();
    await frame.locator('[data-section="rounding"][open]').waitFor();
  });
  await step('convert it so', async () => {
    await choose('Rounding', 'End');
    await frame.locator('.strip', { hasText: 'Nearest rounding' }).waitFor();
    await frame.getByRole('button', { name: 'Convert to FP8' }).click();
    await workbench.toast(/Converted kjv-lm\.safetensors to FP8/).waitFor();
    const header = await readHeader(join(workspace, 'kjv-lm_fp8_e4m3fn_scaled.safetensors'));
    assert.deepEqual(header.byName.get('model.layers.0.mlp.up_proj.weight_scale_inv')?.shape, [11, 4]);
  });
};

export const quantizedSource: Scenario = withFiles(writeQuantizedModel, async (context) => {
  const { workbench, workspace, step } = context;
  await workbench.resize(1500, 1000);
  const frame = await drawn(await workbench.openInCustomEditor(quantizedName));
  const forecast = frame.locator('.forecast');
  await step('see that nothing is left to quantize', async () => {
    await frame.getByRole('button', { name: 'Convert to FP8' }).and(frame.locator('[disabled]')).waitFor();
    await forecast.locator('.forecast-warning').first().waitFor();
  });
  await step('have its codes rounded anew, to another target', async () => {
    await frame.getByRole('button', { name: 'Round Anew' }).click();
    await forecast.getByText('FP8 35').waitFor();
    await frame.locator('[data-section="tensors"] > summary:focus', { hasText: 'with quantized ones anew' }).waitFor();
    await frame.getByRole('combobox', { name: 'Target' }).press('ArrowDown');
    await frame.locator('#help-target', { hasText: 'two of fraction' }).waitFor();
    await frame.getByRole('combobox', { name: 'Rounding', exact: true }).press('End');
    await frame.locator('.strip', { hasText: 'Nearest rounding · FP8 E5M2' }).waitFor();
    await takePicture(context, 'panel-requantize');
  });
  await step('convert it', async () => {
    await frame.getByRole('button', { name: 'Convert to FP8' }).click();
    await workbench.toast(/Converted converted\.safetensors to FP8/).waitFor();
    const header = await readHeader(join(workspace, 'converted_fp8_e5m2_scaled.safetensors'));
    assert.equal(header.byName.get('model.layers.0.mlp.up_proj.weight')?.dtype, 'F8_E5M2');
  });
});

export const shardedModel: Scenario = withFiles(writeShards, async (context) => {
  const { workbench, workspace, step } = context;
  const indexName = 'model.safetensors.index.json';
  const outputName = 'toy_fp8_e4m3fn_scaled';
  await workbench.resize(1500, 1000);
  const frame = workbench.webviewFrame();
  await step('open a folder as one model', async () => {
    await workbench.explorerMenu('toy', 'Open as One Model');
    await workbench.page.locator('.tab.active', { hasText: indexName }).waitFor();
    await drawn(frame);
    await reads(frame.locator('.summary'), /tensors\s*13\s*shards\s*3/i);
  });
  await step('see that a folder will be written, as the command line does', async () => {
    await frame.locator('.strip-name', { hasText: outputName }).waitFor();
    await frame.locator('#help-output', { hasText: 'A folder with 3 shards, their index and config files' }).waitFor();
    assert.deepEqual(await serious(frame), []);
    await takePicture(context, 'panel-shards');
  });
  await step('convert it', async () => {
    await frame.getByRole('button', { name: 'Convert to FP8' }).click();
    await workbench.toast(/Converted model\.safetensors\.index\.json to FP8/).waitFor();
    const names = await readdir(join(workspace, outputName));
    assert.deepEqual(names.filter((name) => /^model-0000[123]-of-00003\.safetensors$/.test(name)).length, 3);
    assert.ok(names.includes(indexName));
  });
  await step('be asked for another name the next time: no folder is replaced', async () => {
    await workbench.command('Notifications: Clear All Notifications');
    await frame.getByRole('button', { name: 'Convert Again' }).click();
    const dialog = workbench.page.locator('.monaco-dialog-box', { hasText: 'no folder is ever replaced' });
    await dialog.locator('.monaco-button', { hasText: 'Choose Another Name…' }).waitFor();
    assert.equal(await dialog.locator('.monaco-button', { hasText: 'Replace' }).count(), 0);
    await dialog.locator('.monaco-button', { hasText: 'Cancel' }).click();
    await dialog.waitFor({ state: 'detached' });
  });
  await step('read the report, and verify', async () => {
    await frame.getByRole('button', { name: 'Show Report' }).click();
    await frame.locator('h1', { hasText: outputName }).waitFor();
    await frame.getByRole('button', { name: 'Verify' }).click();
    await frame.locator('.verification', { hasText: /Verified 13 tensors/ }).waitFor();
  });
  await step('compare the folder with its source', async () => {
    await frame.getByRole('button', { name: 'Compare' }).click();
    await frame.locator('h1', { hasText: `${indexName} ↔ ${outputName}` }).waitFor();
    await frame.locator('.compare-status', { hasText: 'together' }).waitFor();
    await reads(frame.locator('.totals'), /Changed\s*6[\s\S]*Equal\s*7/);
    await workbench.command('View: Close Editor');
  });
  await step('open it', async () => {
    await frame.locator('h1', { hasText: outputName }).waitFor();
    await frame.getByRole('button', { name: 'Open', exact: true }).click();
    await drawn(frame);
    await frame.locator('.legend', { hasText: 'F8_E4M3' }).waitFor();
  });
});

async function writeQuantizedModel({ workspace, repository }: Parameters<Preparation>[0]): Promise<void> {
  const files = ['--input', join(workspace, modelName), '--output', join(workspace, quantizedName)];
  await promisify(execFile)(process.execPath, [join(repository, 'dist/fp8.js'), 'convert', ...files, '--rounding', 'nearest']);
}

async function writeShards({ workspace }: Parameters<Preparation>[0]): Promise<void> {
  await mkdir(join(workspace, 'toy'));
  await writeShardedModel(join(workspace, 'toy'), TOY_MODEL, 3);
}

/** Once its first row is there. */
async function drawn(frame: FrameLocator): Promise<FrameLocator> {
  await frame.locator('.row[data-index="0"] .name-leaf:not(:empty)').waitFor();
  return frame;
}

async function serious(frame: FrameLocator): Promise<unknown> {
  return (await accessibilityFindings(frame)).filter(({ impact }) => impact === 'serious' || impact === 'critical');
}
