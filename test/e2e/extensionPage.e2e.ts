/** The page of the installed extension: what people read before they open a file, with its pictures. */
import * as assert from 'node:assert/strict';
import type { Scenario } from '../support/scenario';

export const extensionPage: Scenario = async ({ workbench, step }) => {
  await step('open the page of the extension', async () => {
    await workbench.page.keyboard.press('Control+Shift+X');
    await workbench.page.locator('.extensions-list .monaco-list-row', { hasText: 'FP8 Quantizer' }).first().click();
    await workbench.page.locator('.extension-editor .name', { hasText: 'FP8 Quantizer' }).waitFor();
  });
  await step('see its pictures', async () => {
    const pictures = workbench.webviewFrame().locator('img');
    await pictures.first().waitFor();
    const widths = await pictures.evaluateAll((images) =>
      images.map((image) => (image as unknown as { naturalWidth: number }).naturalWidth),
    );
    assert.ok(widths.length >= 2, 'there are pictures');
    assert.deepEqual(
      widths.filter((width) => width === 0),
      [],
    );
  });
};
