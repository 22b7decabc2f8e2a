/** Comparing a model with what it was converted to: the files pair by themselves, the worst comes first, and nothing shuts people out. */
import * as assert from 'node:assert/strict';
import { accessibilityFindings } from '../support/accessibility';
import { reads } from '../support/reads';
import type { Scenario } from '../support/scenario';
import { modelName } from '../support/workspace';

export const compareWithSource: Scenario = async ({ workbench, step }) => {
  const frame = await workbench.openInCustomEditor(modelName);
  await frame.locator('.row[data-index="0"] .name-leaf:not(:empty)').waitFor();
  await step('convert', async () => {
    await workbench.command('FP8: Convert to FP8');
    await workbench.toast(/Converted kjv-lm\.safetensors to FP8/).waitFor();
  });
  await step('compare the open model with the result', async () => {
    await workbench.command('FP8: Compare Safetensors…');
    await workbench.page.locator('.quick-input-list .monaco-list-row', { hasText: '_fp8_' }).first().click();
    const page = workbench.webviewFrame();
    await page.locator('h1', { hasText: 'kjv-lm.safetensors ↔' }).waitFor();
    await page.locator('.compare-status', { hasText: 'Relative error of all quantized tensors together, as in the report' }).waitFor();
    await reads(page.locator('.compare-status'), /report: \d\.\d\s%/);
    await reads(page.locator('.totals'), /Changed\s*35[\s\S]*Equal\s*13/);
  });
  await step('find the worst first', async () => {
    const page = workbench.webviewFrame();
    await page.locator('.row[data-index="0"][data-state="changed"] .relative').waitFor();
    await reads(page.locator('.rows .row[data-state="changed"] .relative').first(), /%$/);
    await reads(page.locator('.row[data-index="0"] .dtype'), /BF16 → F8_E4M3/);
    await reads(page.locator('.row[data-index="0"] .sqnr'), /\d dB/);
    const findings = await accessibilityFindings(page);
    assert.deepEqual(
      findings.filter(({ impact }) => impact === 'serious' || impact === 'critical'),
      [],
    );
    await workbench.screenshot('compare-dark');
  });
  await step('search, and take the other file as the reference', async () => {
    const page = workbench.webviewFrame();
    await page.getByRole('textbox', { name: 'Search tensors' }).fill('norm');
    await page.locator('.table[aria-rowcount="12"]').waitFor();
    await page.getByRole('button', { name: 'Swap' }).click();
    await page.locator('h1', { hasText: '↔ kjv-lm.safetensors' }).waitFor();
    await page.locator('.compare-status', { hasText: 'together' }).waitFor();
  });
};
