/** The way of a new user: install, open a model, see what would happen, convert it, read the report. Also takes the pictures of the documentation. */
import * as assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import type { FrameLocator } from 'playwright-core';
import { accessibilityFindings } from '../support/accessibility';
import { takePicture } from '../support/pictures';
import { reads } from '../support/reads';
import type { Scenario, ScenarioContext } from '../support/scenario';
import type { ColorTheme } from '../support/workbench';
import { brokenName, modelName } from '../support/workspace';

const outputName = 'kjv-lm_fp8_e4m3fn_scaled.safetensors';

export const convertInDark: Scenario = (context) => openConvertRead(context, 'Default Dark Modern', 'dark');
export const convertInLight: Scenario = (context) => openConvertRead(context, 'Default Light Modern', 'light');

async function openConvertRead(context: ScenarioContext, theme: ColorTheme, suffix: string): Promise<void> {
  const { workbench, workspace, step } = context;
  const picture = (name: string) => takePicture(context, `${name}-${suffix}`);

  const frame = await step('open the model from the explorer', async () => {
    const opened = await workbench.openInCustomEditor(modelName);
    await firstRow(opened).waitFor();
    return opened;
  });
  await step('change the theme', () => workbench.setColorTheme(theme));
  await step('see what would happen', async () => {
    await frame.locator('[role="grid"][aria-rowcount="49"]').waitFor();
    await reads(frame.locator('.summary'), /kjv-lm\.safetensors[\s\S]*8\.30 MB[\s\S]*4\.15 M[\s\S]*48/);
    await reads(frame.locator('.strip'), new RegExp(`${outputName}[\\s\\S]*8\\.30 MB[\\s\\S]*4\\.30 MB`));
    await reads(frame.locator('.totals'), /Quantize\s*35[\s\S]*Keep\s*13/);
  });
  await step('find nothing that shuts people out', async () => {
    const findings = await accessibilityFindings(frame);
    assert.deepEqual(
      findings.filter(({ impact }) => impact === 'serious' || impact === 'critical'),
      [],
    );
  });
  await picture('editor');

  await step('convert', async () => {
    await frame.getByRole('button', { name: 'Convert to FP8' }).click();
    await workbench.toast(/Converted kjv-lm\.safetensors to FP8/).waitFor();
    await frame.getByRole('button', { name: 'Show Report' }).waitFor();
    assert.deepEqual(await outputsIn(workspace), [outputName]);
  });
  await picture('notification');

  await step('read the report', async () => {
    const toast = workbench.toast(/Converted kjv-lm\.safetensors to FP8/);
    await workbench.toastButton(toast, 'Show Report').click();
    await workbench.page.locator('.tab', { hasText: 'report' }).waitFor();
    await workbench.webviewFrame().locator('h1', { hasText: outputName }).waitFor();
    const body = workbench.webviewFrame().locator('body');
    await reads(body, /35 quantized, 13 kept/);
    await reads(body, /Error\s+\d\.\d %/);
  });
}

export const openConverted: Scenario = async ({ workbench, workspace, step }) => {
  const frame = await workbench.openInCustomEditor(modelName);
  await step('convert from the palette', async () => {
    await firstRow(frame).waitFor();
    await workbench.command('FP8: Convert to FP8');
    await workbench.toast(/Converted kjv-lm\.safetensors to FP8/).waitFor();
  });
  await step('open the result', async () => {
    await workbench.toastButton(workbench.toast(/Converted/), 'Open').click();
    await workbench.webviewFrame().locator('h1', { hasText: outputName }).waitFor();
    await firstRow(workbench.webviewFrame()).waitFor();
    await reads(workbench.webviewFrame().locator('.legend'), /F8_E4M3/);
  });
  await step('find its report from there', async () => {
    await workbench.webviewFrame().getByRole('button', { name: 'Last Report' }).click();
    await workbench.page.locator('.tab', { hasText: 'report' }).waitFor();
    await reads(workbench.webviewFrame().locator('body'), /35 quantized, 13 kept/);
  });
  await step('ask before replacing it, and take no for an answer', async () => {
    await workbench.command('View: Close All Editors');
    const again = await workbench.openInCustomEditor(modelName);
    await again.getByRole('button', { name: 'Convert Again' }).click();
    const dialog = workbench.page.locator('.monaco-dialog-box', { hasText: 'already exists' });
    await dialog.locator('.monaco-button', { hasText: 'Cancel' }).click();
    await dialog.waitFor({ state: 'detached' });
    assert.deepEqual(await outputsIn(workspace), [outputName]);
  });
};

export const brokenFile: Scenario = async ({ workbench, step }) => {
  const frame = await workbench.openInCustomEditor(brokenName);
  await step('read what is wrong', async () => {
    await frame.locator('h1', { hasText: 'not a valid safetensors file' }).waitFor();
    await reads(frame.locator('main'), /web page[\s\S]*HeaderTooLarge/);
    const findings = await accessibilityFindings(frame);
    assert.deepEqual(
      findings.filter(({ impact }) => impact === 'serious' || impact === 'critical'),
      [],
    );
  });
  await step('look at its text', async () => {
    await frame.getByRole('button', { name: 'Open as Text' }).click();
    await workbench.page.locator('.monaco-editor .view-line', { hasText: 'Please log in' }).waitFor();
  });
};

export const keyboard: Scenario = async ({ workbench, step }) => {
  const frame = await workbench.openInCustomEditor(modelName);
  const active = frame.locator('.row[aria-selected="true"] .name');
  await step('walk through the table', async () => {
    await firstRow(frame).waitFor();
    await frame.getByRole('grid').focus();
    for (const [key, name] of [
      ['ArrowDown', 'lm_head.weight'],
      ['ArrowDown', 'model.embed_tokens.weight'],
      ['End', 'model.norm.weight'],
      ['ArrowUp', 'model.layers.4.self_attn.v_proj.weight'],
      ['Home', 'lm_head.weight'],
    ] as const) {
      await workbench.page.keyboard.press(key);
      await active.and(frame.locator(`[title="${name}"]`)).waitFor();
    }
  });
  await step('sort by size and keep the place', async () => {
    await frame.getByRole('button', { name: 'Size' }).press('Enter');
    await frame.locator('[role="columnheader"][aria-sort="descending"]', { hasText: 'Size' }).waitFor();
    await active.and(frame.locator('[title="lm_head.weight"]')).waitFor();
    await reads(frame.locator('.row[data-index="0"]'), /360 kB/);
  });
  await step('come back to it after the tab was hidden', async () => {
    await workbench.openInCustomEditor(brokenName);
    await workbench.page.locator('.tab', { hasText: modelName }).click();
    const restored = workbench.webviewFrame();
    await restored.locator('[role="columnheader"][aria-sort="descending"]', { hasText: 'Size' }).waitFor();
    await restored.locator('.row[aria-selected="true"] .name[title="lm_head.weight"]').waitFor();
  });
};

function firstRow(frame: FrameLocator) {
  return frame.locator('.row[data-index="0"] .name-leaf:not(:empty)');
}

async function outputsIn(workspace: string): Promise<readonly string[]> {
  return (await readdir(workspace)).filter((name) => name.includes('fp8'));
}
