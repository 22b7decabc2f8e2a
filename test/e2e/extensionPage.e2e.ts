/** The page of the installed extension: what people read before they open a file, with its pictures. */
import type { Scenario } from '../support/scenario';

export const extensionPage: Scenario = async ({ workbench, step }) => {
  await step('open the page of the extension', async () => {
    await workbench.page.keyboard.press('Control+Shift+X');
    await workbench.page.locator('.extensions-list .monaco-list-row', { hasText: 'FP8 Quantizer' }).first().click();
    await workbench.page.locator('.extension-editor .name', { hasText: 'FP8 Quantizer' }).waitFor();
  });
  await step('see its pictures', async () => {
    const pictures = workbench.webviewFrame().locator('img');
    await pictures.nth(1).waitFor();
    for (const picture of await pictures.all()) {
      // Fails when there is none where it points to.
      await picture.evaluate((image) => (image as unknown as { decode(): Promise<void> }).decode());
    }
  });
};
