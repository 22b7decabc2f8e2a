/** A workbench page in Chromium, driven as a person would: explorer, palette, toasts, the webview of the active editor. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { FrameLocator, Locator, Page } from 'playwright-core';
import type { WorkbenchServer } from './workbenchServer';

export type ColorTheme = 'Default Dark Modern' | 'Default Light Modern' | 'Default High Contrast' | 'Default High Contrast Light';

/** As the theme picker lists them, and the class that the workbench then has. */
const themes: Readonly<Record<ColorTheme, { readonly label: string; readonly className: string }>> = {
  'Default Dark Modern': { label: 'Dark Modern', className: 'vs-dark' },
  'Default Light Modern': { label: 'Light Modern', className: 'vs' },
  'Default High Contrast': { label: 'Dark High Contrast', className: 'hc-black' },
  'Default High Contrast Light': { label: 'Light High Contrast', className: 'hc-light' },
};

export class Workbench {
  constructor(
    readonly page: Page,
    private readonly server: WorkbenchServer,
    private readonly screenshotFolder: string,
  ) {}

  /** Opens the workbench on a folder and waits until the explorer lists it, and until it knows what the extensions contribute. */
  async open(folder: string): Promise<void> {
    await this.page.goto(`${this.server.origin}/?${new URLSearchParams({ folder }).toString()}`);
    await this.explorerRow('').first().waitFor();
    // Colour themes are contributions as well.
    await this.page.locator('.monaco-workbench[class*="vscode-theme"]').waitFor();
  }

  /** As people close a tab, which ends the extension host as well. */
  async close(): Promise<void> {
    // A browser that died has closed it.
    await this.page.goto('about:blank').catch(() => undefined);
    await this.page.close().catch(() => undefined);
  }

  explorerRow(name: string): Locator {
    return this.page.locator('.explorer-folders-view .monaco-list-row', { hasText: name });
  }

  /**
   * Opens a file of the explorer in its custom editor. In a workbench that has just started the editor may not be registered yet,
   * and the file comes up as unknown binary: it is then closed and opened again.
   */
  async openInCustomEditor(name: string): Promise<FrameLocator> {
    const activeTab = this.page.locator('.tab.active', { hasText: name });
    for (let attempt = 0; attempt < 20; attempt++) {
      // The webview of the editor that is left stays for a moment: only another one is the one that was asked for.
      const known = await this.webviewNames();
      const another = this.page.locator(`iframe.webview.ready${known.map((frame) => `:not([name="${frame}"])`).join('')}`);
      await this.explorerRow(name).first().dblclick();
      const unknownBinary = this.page.locator('.monaco-editor-pane-placeholder');
      await waitFor(another.or(unknownBinary).first(), 30_000);
      if ((await another.count()) > 0 && (await activeTab.count()) > 0) return this.webviewFrame();
      await this.command('View: Close All Editors');
    }
    throw new Error(`${name} did not open in a custom editor.`);
  }

  private async webviewNames(): Promise<readonly string[]> {
    const frames = await this.page.locator('iframe.webview').all();
    // One may go while it is asked.
    const names = await Promise.all(frames.map((frame) => frame.getAttribute('name', { timeout: 1000 }).catch(() => null)));
    return names.filter((name) => name !== null);
  }

  /** Chooses from the menu of a row of the explorer, which in a workbench that has just started may not have everything yet. */
  async explorerMenu(name: string, label: string): Promise<void> {
    const item = this.page.locator('.monaco-menu .action-label', { hasText: label });
    for (let attempt = 0; attempt < 20; attempt++) {
      await this.explorerRow(name).first().click({ button: 'right' });
      if (await waitFor(item, 5000)) {
        // A menu that has just opened takes no click.
        await item.hover();
        await this.page.keyboard.press('Enter');
        await item.waitFor({ state: 'hidden' });
        return;
      }
      await this.page.keyboard.press('Escape');
    }
    throw new Error(`The menu of ${name} does not have ${label}.`);
  }

  /** The document inside the active webview. */
  webviewFrame(): FrameLocator {
    return this.page.locator('iframe.webview.ready').last().contentFrame().frameLocator('iframe#active-frame');
  }

  /** Runs a command by its title as the palette lists it, waiting until it is there. */
  async command(title: string): Promise<void> {
    const row = await this.palette(`>${title}`, title);
    await row.click();
  }

  /** Types into the quick input and returns the first row that shows `rowText`. */
  async palette(text: string, rowText: string): Promise<Locator> {
    const input = this.page.locator('.quick-input-widget input[type="text"]').first();
    const row = this.page.locator('.quick-input-list .monaco-list-row', { hasText: rowText }).first();
    for (let attempt = 0; attempt < 30; attempt++) {
      await this.page.keyboard.press('F1');
      // A workbench that is still starting may take the focus away again, which closes the input.
      const isOpen =
        (await waitFor(input, 10_000)) &&
        (await input.fill(text, { timeout: 10_000 }).then(
          () => true,
          () => false,
        ));
      if (isOpen && (await waitFor(row, 5000))) return row;
      await this.page.keyboard.press('Escape');
    }
    throw new Error(`The palette does not list ${rowText}.`);
  }

  /** Answers the dialog for a file, which in a browser is an input of the workbench; with the name it proposes unless told another path. */
  async answerFileDialog(title: string, path?: string): Promise<void> {
    const dialog = this.page.locator('.quick-input-widget', { hasText: title });
    await dialog.waitFor();
    const input = dialog.locator('input[type="text"]').first();
    // It lists the folder and proposes a path at once, in the place of what was typed before.
    await dialog.locator('.monaco-list-row').first().waitFor();
    if (path !== undefined) await input.fill(path);
    // While it still looks the path up, it takes no answer.
    for (let attempt = 0; attempt < 20; attempt++) {
      await input.press('Enter', { timeout: 10_000 }).catch(() => undefined);
      if (await waitFor(dialog, 5000, 'hidden')) return;
    }
    throw new Error(`The dialog ${title} takes no answer.`);
  }

  /** A notification that shows `text`, as a toast. */
  toast(text: string | RegExp): Locator {
    return this.page.locator('.notifications-toasts .notification-list-item', { hasText: text }).first();
  }

  /** A button of a notification. */
  toastButton(toast: Locator, label: string): Locator {
    return toast.locator('.monaco-button', { hasText: label }).first();
  }

  async setColorTheme(theme: ColorTheme): Promise<void> {
    const { label, className } = themes[theme];
    await this.command('Preferences: Color Theme');
    await this.page.locator('.quick-input-widget input[type="text"]').first().fill(label);
    await this.page.locator('.quick-input-list .monaco-list-row.focused', { hasText: label }).waitFor();
    await this.page.keyboard.press('Enter');
    await this.page.locator(`.monaco-workbench.${className}`).waitFor();
  }

  async resize(width: number, height: number): Promise<void> {
    await this.page.setViewportSize({ width, height });
  }

  /** Writes `<name>.png`; returns its path. */
  async screenshot(name: string): Promise<string> {
    await mkdir(this.screenshotFolder, { recursive: true });
    const path = join(this.screenshotFolder, `${name}.png`);
    await this.page.screenshot({ path });
    return path;
  }
}

async function waitFor(locator: Locator, timeout: number, state: 'visible' | 'hidden' = 'visible'): Promise<boolean> {
  return locator.waitFor({ timeout, state }).then(
    () => true,
    () => false,
  );
}
