/** Pictures of the workbench: to look at, and with `FP8_PICTURES=1` those that the documentation shows, made anew. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import type { ScenarioContext } from './scenario';

/** The documentation's pictures are seen on screens of every density. */
export const PICTURE_SCALE = process.env['FP8_PICTURES'] === '1' ? 2 : 1;

const DOCUMENTED: readonly string[] = [
  'editor-dark',
  'panel-dark',
  'report-dark',
  'report-light',
  'inventory-wide-light',
  'inventory-wide-contrast',
  'inventory-narrow-dark',
];

/** Writes `<name>.png` beside the others, and where the documentation has it `docs/images/<name>.webp`. */
export async function takePicture(
  { workbench, repository }: Pick<ScenarioContext, 'workbench' | 'repository'>,
  name: string,
): Promise<void> {
  if (PICTURE_SCALE === 1) {
    await workbench.screenshot(name);
    return;
  }
  // Toasts slide in, and the pointer must not colour what it left.
  await workbench.page.mouse.move(640, 4);
  await workbench.page.waitForTimeout(800);
  const path = await workbench.screenshot(name);
  if (!DOCUMENTED.includes(name)) return;
  await mkdir(join(repository, 'docs/images'), { recursive: true });
  await writeFile(join(repository, 'docs/images', `${name}.webp`), await webp(workbench.page, await readFile(path)));
}

/** A third of the PNG's size, and as sharp to the eye. Made in a page of its own, where nothing restricts it. */
async function webp(page: Page, png: Buffer): Promise<Buffer> {
  const blank = await page.context().newPage();
  try {
    const encoded = await blank.evaluate<string>(`(${ENCODE})(${JSON.stringify(png.toString('base64'))})`);
    return Buffer.from(encoded.slice(encoded.indexOf(',') + 1), 'base64');
  } finally {
    await blank.close();
  }
}

const ENCODE = `async (png) => {
  const picture = new Image();
  picture.src = 'data:image/png;base64,' + png;
  await picture.decode();
  const canvas = document.createElement('canvas');
  canvas.width = picture.naturalWidth;
  canvas.height = picture.naturalHeight;
  canvas.getContext('2d').drawImage(picture, 0, 0);
  return canvas.toDataURL('image/webp', 0.9);
}`;
