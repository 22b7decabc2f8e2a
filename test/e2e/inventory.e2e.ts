/** Looking into a file: search, filter, tree, selection, details, hex, metadata; and what happens when the file changes under it. */
import * as assert from 'node:assert/strict';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FrameLocator } from 'playwright-core';
import { accessibilityFindings } from '../support/accessibility';
import { modelBytes, TOY_MODEL } from '../support/modelFile';
import { takePicture } from '../support/pictures';
import { reads } from '../support/reads';
import { withFiles, type Preparation, type Scenario } from '../support/scenario';
import { modelName } from '../support/workspace';

export const searchAndFilter: Scenario = async ({ workbench, step }) => {
  const frame = await opened(await workbench.openInCustomEditor(modelName));
  const search = frame.getByRole('textbox', { name: 'Search tensors' });
  const pressAll = async (...keys: readonly string[]): Promise<void> => {
    for (const key of keys) await workbench.page.keyboard.press(key);
  };
  const activeGroup = (label: string, action: string): Promise<void> =>
    frame.locator(`.row.active[data-kind="group"][data-action="${action}"] .name-leaf`).getByText(label, { exact: true }).waitFor();
  await step('search as one types: words, a glob, an expression', async () => {
    await search.fill('mlp down');
    await rowCount(frame, 5);
    await search.fill('*.q_proj.weight');
    await rowCount(frame, 5);
    await search.fill('/layers\\.[01]\\..*norm/');
    await rowCount(frame, 4);
    await reads(frame.locator('.search-count'), /^4 of 48/);
  });
  await step('read what is wrong with an expression', async () => {
    const filter = frame.getByRole('button', { name: /^Filter\b/ });
    const before = await filter.boundingBox();
    await search.fill('/layers.(/');
    await frame.locator('.search-count', { hasText: 'Not a regular expression: unterminated group.' }).waitFor();
    assert.deepEqual(await filter.boundingBox(), before);
    await rowCount(frame, 48);
    await search.press('Escape');
    assert.equal(await search.inputValue(), '');
  });
  await step('filter by what is planned, and by dimensions', async () => {
    await frame.getByRole('button', { name: /^Keep\s*13/ }).click();
    await rowCount(frame, 13);
    await frame.getByRole('button', { name: /^Filter\b/ }).click();
    await frame.getByRole('dialog', { name: 'Filters' }).getByLabel(/2-D/).check();
    await rowCount(frame, 2);
    await workbench.page.keyboard.press('Escape');
    const finding = await accessibilityFindings(frame);
    assert.deepEqual(serious(finding), []);
  });
  await step('take the filters back by keyboard, then all at once', async () => {
    await frame.locator('.chip').first().press('Enter');
    await frame.locator('.chip:only-child:focus').waitFor();
    await workbench.page.keyboard.press('Enter');
    await frame.locator('.tool:focus', { hasText: 'Filter' }).waitFor();
    await rowCount(frame, 48);
    await workbench.page.keyboard.press('Enter');
    const popup = frame.getByRole('dialog', { name: 'Filters' });
    await popup.waitFor();
    const place = await popup.boundingBox();
    await popup.getByLabel(/2-D/).check();
    await popup.getByLabel(/Keep/).check();
    await rowCount(frame, 2);
    assert.deepEqual(await popup.boundingBox(), place, 'The popup moved when the chips appeared.');
    await workbench.page.keyboard.press('Escape');
    await frame.getByRole('button', { name: 'Clear All' }).press('Enter');
    await frame.locator('.tool:focus', { hasText: 'Filter' }).waitFor();
    await rowCount(frame, 48);
  });
  await step('see the parts of the names as a tree', async () => {
    await frame.getByRole('button', { name: 'Tree by parts of the names' }).click();
    await frame.getByRole('treegrid').waitFor();
    await frame.locator('.row[data-kind="group"]', { hasText: 'model' }).first().waitFor();
    await frame.getByRole('treegrid').focus();
    // Without a pause: what opens a group takes its time, and the keys after it mean what it shows.
    await pressAll('Home', 'ArrowDown', 'ArrowRight', 'ArrowDown', 'ArrowDown', 'ArrowRight', 'ArrowDown');
    await activeGroup('0', 'mixed');
  });
  await step('decide for a group, and go on from it', async () => {
    await pressAll('Shift+F10', 'k', 'Enter');
    await activeGroup('0', 'keep');
    await pressAll('ArrowDown');
    await activeGroup('1', 'mixed');
    await pressAll('ArrowUp', 'Shift+F10', 'a', 'Enter');
    await activeGroup('0', 'mixed');
    await search.fill('q_proj');
    await frame.locator('.row[data-kind="tensor"]').first().waitFor();
    await workbench.screenshot('tree-dark');
    assert.deepEqual(serious(await accessibilityFindings(frame)), []);
  });
  await step('find the same after the tab was hidden', async () => {
    await workbench.openInCustomEditor('broken.safetensors');
    await workbench.page.locator('.tab', { hasText: modelName }).click();
    const restored = workbench.webviewFrame();
    await restored.getByRole('treegrid').waitFor();
    await restored.locator('.row[data-kind="tensor"]').first().waitFor();
    assert.equal(await restored.getByRole('textbox', { name: 'Search tensors' }).inputValue(), 'q_proj');
  });
};

export const selectMany: Scenario = async ({ workbench, step }) => {
  const frame = await opened(await workbench.openInCustomEditor(modelName));
  const selected = frame.locator('.row[aria-selected="true"]');
  await step('select with the pointer: a range, then one less', async () => {
    await frame.locator('.row[data-index="1"] .name').click();
    await frame.locator('.row[data-index="4"] .name').click({ modifiers: ['Shift'] });
    await frame.locator('.selection-words', { hasText: '4 tensors' }).waitFor();
    await selected.nth(3).waitFor();
    assert.equal(await selected.count(), 4);
    await frame.locator('.row[data-index="2"] .name').click({ modifiers: ['Control'] });
    await frame.locator('.selection-words', { hasText: '3 tensors' }).waitFor();
  });
  await step('select everything, and nothing, with the keyboard', async () => {
    await workbench.page.keyboard.press('Control+a');
    await frame.locator('.selection-words', { hasText: '48 tensors · 8.30 MB' }).waitFor();
    await workbench.page.keyboard.press('Escape');
    await frame.locator('.selection-bar').waitFor({ state: 'hidden' });
  });
  await step('decide for what is selected', async () => {
    await frame.locator('.row', { hasText: 'layers.0.mlp.down_proj' }).click();
    await frame.locator('.selection-bar').getByRole('button', { name: 'Keep' }).click();
    await frame.locator('.row', { hasText: 'layers.0.mlp.down_proj' }).locator('.verb', { hasText: 'Keep' }).waitFor();
    await frame.locator('.selection-bar').getByRole('button', { name: 'As Planned' }).click();
    await frame.locator('.row', { hasText: 'layers.0.mlp.down_proj' }).locator('.verb', { hasText: 'Quantize' }).waitFor();
  });
};

export const contextMenu: Scenario = async ({ workbench, step }) => {
  await workbench.page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  const frame = await opened(await workbench.openInCustomEditor(modelName));
  const row = (name: string) => frame.locator('.row', { hasText: name });
  const menu = frame.getByRole('menu');
  const verb = (name: string, text: string) => row(name).locator('.verb', { hasText: text }).waitFor();
  await step('keep one tensor with the other mouse button', async () => {
    await row('layers.0.mlp.down_proj').click({ button: 'right' });
    assert.deepEqual(await menu.getByRole('menuitem').locator('span:first-child').allInnerTexts(), [
      'Inspect',
      'Show as Hex',
      'Copy Name',
      'Quantize',
      'Keep',
      'Remove',
      'As Planned',
    ]);
    assert.deepEqual(serious(await accessibilityFindings(frame)), []);
    await workbench.screenshot('menu-dark');
    await menu.getByRole('menuitem', { name: 'Keep' }).click();
    await menu.waitFor({ state: 'detached' });
    await verb('layers.0.mlp.down_proj', 'Keep');
  });
  await step('take it back by keyboard alone', async () => {
    await workbench.page.keyboard.press('Shift+F10');
    await menu.waitFor();
    await workbench.page.keyboard.press('a');
    await workbench.page.keyboard.press('Enter');
    await verb('layers.0.mlp.down_proj', 'Quantize');
  });
  await step('decide for all that is selected', async () => {
    await frame.locator('.row[data-index="2"] .name').click();
    await workbench.page.keyboard.press('Shift+ArrowDown');
    await frame.locator('.selection-words', { hasText: '2 tensors' }).waitFor();
    await frame.locator('.row[data-index="3"] .name').click({ button: 'right' });
    await menu.getByRole('menuitem', { name: 'Remove 2 Tensors' }).click();
    await frame.locator('.row[data-action="remove"]').nth(1).waitFor();
    assert.equal(await frame.locator('.row[data-action="remove"]').count(), 2);
  });
  await step('copy a name, look at the bytes', async () => {
    await row('layers.1.mlp.up_proj').click({ button: 'right' });
    await menu.getByRole('menuitem', { name: 'Copy Name' }).click();
    await workbench.page.waitForFunction(`navigator.clipboard.readText().then((text) => text === 'model.layers.1.mlp.up_proj.weight')`);
    await row('layers.1.mlp.up_proj').click({ button: 'right' });
    await workbench.page.keyboard.press('Escape');
    await menu.waitFor({ state: 'detached' });
    await frame.getByRole('grid').and(frame.locator(':focus')).waitFor();
    await row('layers.1.mlp.up_proj').click({ button: 'right' });
    await menu.getByRole('menuitem', { name: 'Show as Hex' }).click();
    await workbench.page.locator('.tab.active', { hasText: 'layers.1.mlp.up_proj.weight' }).waitFor();
  });
};

export const inspectTensor: Scenario = async ({ workbench, step }) => {
  const frame = await opened(await workbench.openInCustomEditor(modelName));
  const details = frame.getByRole('complementary', { name: 'Details of the tensor' });
  await step('open the details with Enter', async () => {
    await frame.locator('.row', { hasText: 'layers.0.mlp.down_proj' }).click();
    await workbench.page.keyboard.press('Enter');
    await details.getByText('Standard deviation').waitFor();
    await reads(details, /BF16 → F8_E4M3/);
    await reads(details, /Saturate\s*0 %/);
    await reads(details, /NaN and infinite\s*none/);
    await details.getByRole('img', { name: /Histogram/ }).waitFor();
    await details.getByRole('img', { name: /Energy/ }).waitFor();
  });
  await step('see what rounding would do, without converting', async () => {
    await details.getByRole('button', { name: 'Preview Rounding' }).press('Enter');
    await details.getByText('Weight error, nearest').waitFor();
    // The focus went to the way to stop it, and from there to what came of it.
    await details.locator('.details-preview:focus').waitFor();
    await reads(details, /Output error\s*\d+ % of nearest rounding’s/);
  });
  await step('find nothing that shuts people out', async () => {
    assert.deepEqual(serious(await accessibilityFindings(frame)), []);
    await workbench.screenshot('details-dark');
  });
  await step('follow the active tensor, and close with Escape', async () => {
    await frame.getByRole('grid').focus();
    await workbench.page.keyboard.press('Home');
    await details.getByRole('heading', { name: 'lm_head.weight' }).waitFor();
    await workbench.page.keyboard.press('Escape');
    await details.waitFor({ state: 'hidden' });
  });
  await step('look at the bytes', async () => {
    await workbench.page.keyboard.press('Enter');
    await details.getByRole('button', { name: 'Show as Hex' }).click();
    await workbench.page.locator('.tab.active', { hasText: 'lm_head.weight' }).waitFor();
    await workbench.page
      .locator('.monaco-editor .view-line', { hasText: /^[0-9a-f]{8}/ })
      .first()
      .waitFor();
  });
};

export const metadataOfFile: Scenario = withFiles(writeModelWithMetadata, async ({ workbench, step }) => {
  const frame = await opened(await workbench.openInCustomEditor('toy.safetensors'));
  await step('unfold the metadata, and a long value in it', async () => {
    await frame.locator('.metadata > summary').click();
    await frame.locator('.metadata-list', { hasText: 'Toy' }).waitFor();
    await frame.locator('.metadata-fold > summary').click();
    await frame.locator('.metadata-whole', { hasText: '"type": "KSampler"' }).waitFor();
    assert.deepEqual(serious(await accessibilityFindings(frame)), []);
  });
});

export const everyThemeAndWidth: Scenario = async (context) => {
  const { workbench, step } = context;
  const frame = await opened(await workbench.openInCustomEditor(modelName));
  await step('open the details of a tensor', async () => {
    await frame.locator('.row', { hasText: 'layers.0.mlp.down_proj' }).click();
    await workbench.page.keyboard.press('Enter');
    await frame.getByText('Standard deviation').waitFor();
    await workbench.command('View: Toggle Primary Side Bar Visibility');
  });
  for (const [theme, name] of [
    ['Default Light Modern', 'light'],
    ['Default High Contrast', 'contrast'],
    ['Default Dark Modern', 'dark'],
  ] as const) {
    await step(`look at it: ${name}, wide and narrow`, async () => {
      await workbench.setColorTheme(theme);
      for (const [width, size] of [
        [1440, 'wide'],
        [560, 'narrow'],
      ] as const) {
        await workbench.resize(width, 900);
        assert.deepEqual(serious(await accessibilityFindings(frame)), []);
        await takePicture(context, `inventory-${size}-${name}`);
      }
      await workbench.resize(1280, 800);
    });
  }
  await step('see rows in a low editor, beside open details', async () => {
    await workbench.resize(1280, 420);
    await rowsOnScreen(frame, 4);
    assert.deepEqual(serious(await accessibilityFindings(frame)), []);
  });
};

export const fileChanges: Scenario = async ({ workbench, workspace, repository, step }) => {
  const frame = await opened(await workbench.openInCustomEditor(modelName));
  const path = join(workspace, modelName);
  await step('another file takes its place', async () => {
    await writeFile(path, modelBytes(TOY_MODEL));
    await frame.locator('.fact', { hasText: /Tensors13/i }).waitFor();
  });
  await step('it breaks off in the middle', async () => {
    await writeFile(path, (await readFile(join(repository, 'samples', modelName))).subarray(0, 1_000_000));
    await frame.locator('h1', { hasText: 'not a valid safetensors file' }).waitFor();
  });
  await step('it is gone, and comes back', async () => {
    await rm(path);
    await frame.getByRole('button', { name: 'Try Again' }).click();
    await frame.locator('h1', { hasText: 'The file is not there' }).waitFor();
    await copyFile(join(repository, 'samples', modelName), path);
    await frame.getByRole('button', { name: 'Try Again' }).click();
    await opened(frame);
  });
};

async function writeModelWithMetadata({ workspace }: Parameters<Preparation>[0]): Promise<void> {
  const long = JSON.stringify({ nodes: Array.from({ length: 200 }, (_, id) => ({ id, type: 'KSampler' })) });
  await writeFile(join(workspace, 'toy.safetensors'), modelBytes(TOY_MODEL, { 'modelspec.title': 'Toy', workflow: long }));
}

async function opened(frame: FrameLocator): Promise<FrameLocator> {
  await frame.locator('.row[data-index="0"] .name-leaf:not(:empty)').waitFor();
  return frame;
}

async function rowCount(frame: FrameLocator, count: number): Promise<void> {
  await frame.locator(`.table[aria-rowcount="${count + 1}"]`).waitFor();
}

function serious(findings: Awaited<ReturnType<typeof accessibilityFindings>>): Awaited<ReturnType<typeof accessibilityFindings>> {
  return findings.filter(({ impact }) => impact === 'serious' || impact === 'critical');
}

/** That many of the first rows can be seen whole, once the page has the size that was asked for. */
async function rowsOnScreen(frame: FrameLocator, count: number): Promise<void> {
  const row = frame.locator(`.row[data-index="${count - 1}"]`);
  for (let attempt = 0; attempt < 100; attempt++) {
    const [box, page] = [await row.boundingBox(), await frame.locator('body').boundingBox()];
    if (box !== null && page !== null && box.y + box.height <= page.y + page.height) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${count} rows are not on the screen.`);
}
