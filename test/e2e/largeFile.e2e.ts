/**
 * The page with 20,000 tensors: how soon it shows them, how soon it answers a keystroke, and how it scrolls. Times are printed and fail nothing,
 * for they are the machine's as well; what is shown in the end is checked.
 */
import * as assert from 'node:assert/strict';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Frame } from 'playwright-core';
import { withFiles, type Preparation, type Scenario } from '../support/scenario';

const TENSORS = 20_000;
const name = 'large.safetensors';

/** What the workbench's own preview of the smallest image takes is what any editor with a page takes. */
const imageName = 'pixel.png';
const ONE_PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

export const twentyThousandTensors: Scenario = withFiles(writeManyTensorsAndAnImage, async ({ workbench, step }) => {
  // The extension runs and the webview's service worker is there, as in a window that has been used.
  await workbench.openInCustomEditor('kjv-lm.safetensors');
  await workbench.webviewFrame().locator('.row[data-index="0"] .name-leaf:not(:empty)').waitFor();
  await workbench.command('View: Close All Editors');

  await step('open an image, which the workbench shows in a page of its own', async () => {
    const start = Date.now();
    await workbench.explorerRow(imageName).first().dblclick();
    await workbench.webviewFrame().locator('img').waitFor();
    console.log(`            double click to the image ${ms(Date.now() - start)}`);
    await workbench.command('View: Close All Editors');
  });

  const frame = await step('open it', async () => {
    const start = Date.now();
    await workbench.explorerRow(name).first().dblclick();
    await workbench.page.locator('.tab.active', { hasText: name }).waitFor();
    const tab = Date.now();
    await workbench.webviewFrame().locator('.row[data-index="0"] .name-leaf:not(:empty)').waitFor();
    const element = await workbench.webviewFrame().locator('body').elementHandle();
    const owner = await element.ownerFrame();
    assert.ok(owner);
    const page = await owner.evaluate<PageTimes>(PAGE_TIMES);
    console.log(
      `            double click to tab ${ms(tab - start)}, to our script ${ms(page.script - start)}, ` +
        `to first rows ${ms(page.rows - start)}: ${ms(page.rows - tab)} after the tab, ${ms(page.rows - page.script)} after our script began`,
    );
    return owner;
  });

  await step('type until the plan is there, which is made after the rows', async () => {
    const start = performance.now();
    const totals = workbench.webviewFrame().locator('.totals', { hasText: 'Quantize' });
    const times: number[] = [];
    while (!(await totals.isVisible())) {
      assert.ok(performance.now() - start < 300_000, 'there is no plan');
      times.push(...(await keystrokes(frame, ['attn', ''])));
      // Planning waits until nobody has typed for a moment.
      await workbench.page.waitForTimeout(400);
    }
    console.log(
      `            planned ${ms(performance.now() - start)} after that; keystrokes meanwhile: median ${ms(median(times))}, worst ${ms(Math.max(...times))}`,
    );
  });

  await step('type into the search box', async () => {
    const times = await keystrokes(frame, ['a', 'at', 'att', 'attn', 'attn 1', 'attn 17', '*.q.weight', '/blocks\\.1[0-9]+\\./', '']);
    console.log(`            keystroke to rows: median ${ms(median(times))}, worst ${ms(Math.max(...times))}`);
  });

  await step('scroll through it', async () => {
    // From the keyboard to the wheel.
    await workbench.page.waitForTimeout(TYPING_PAUSE_MILLISECONDS * 2);
    const { frames, blank, own, others } = await scrollThrough(frame);
    console.log(
      `            ${frames} frames, ${blank} of them with blank rows; ${own.length} long tasks of the page, the longest ${ms(Math.max(0, ...own))}; ` +
        `${others.length} of the workbench around it, the longest ${ms(Math.max(0, ...others))}`,
    );
    await frame.waitForFunction(ROWS_IN_VIEW_ARE_FILLED);
  });
});

async function writeManyTensorsAndAnImage({ workspace }: Parameters<Preparation>[0]): Promise<void> {
  await writeManyTensors(join(workspace, name));
  await writeFile(join(workspace, imageName), Buffer.from(ONE_PIXEL, 'base64'));
}

/** By the clock of the machine, which is the browser's as well. */
interface PageTimes {
  /** Until here it was the workbench that made the page and fetched what is in it. */
  readonly script: number;
  readonly rows: number;
}

const PAGE_TIMES = `(() => {
  const time = (name) => performance.timeOrigin + performance.getEntriesByName(name)[0].startTime;
  return { script: time('script'), rows: time('first rows') };
})()`;

const TYPING_PAUSE_MILLISECONDS = 150;

/** From the input event until the frame in which the table shows what it means has been made. Typed as fast as people do who type well. */
async function keystrokes(frame: Frame, texts: readonly string[]): Promise<readonly number[]> {
  const times: number[] = [];
  for (const text of texts) {
    await new Promise((resolve) => setTimeout(resolve, TYPING_PAUSE_MILLISECONDS));
    times.push(await frame.evaluate<number>(`(${KEYSTROKE})(${JSON.stringify(text)})`));
  }
  return times;
}

/** Run in the page, whose types this side does not have. */
const KEYSTROKE = `async (typed) => {
  const input = document.querySelector('.search-input');
  const shown = new Promise((resolve) => {
    const observer = new MutationObserver(() => {
      observer.disconnect();
      // A message that is sent before a frame is made arrives after it.
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => resolve();
      requestAnimationFrame(() => port2.postMessage('made'));
    });
    observer.observe(document.querySelector('.table'), { attributes: true, attributeFilter: ['aria-rowcount'] });
  });
  const start = performance.now();
  input.value = typed;
  input.dispatchEvent(new InputEvent('input', { bubbles: true }));
  await shown;
  return performance.now() - start;
}`;

interface Scrolled {
  readonly frames: number;
  readonly blank: number;
  /** Milliseconds of each long task, of the page and of whatever shares its thread. */
  readonly own: readonly number[];
  readonly others: readonly number[];
}

/** As fast as a wheel that is turned hard: half a screen in each frame. */
function scrollThrough(frame: Frame): Promise<Scrolled> {
  return frame.evaluate<Scrolled>(`(${SCROLL})()`);
}

/** Whether the rows cover the table from its top to its bottom, and none of them still waits for its contents. */
const ROWS_IN_VIEW_ARE_FILLED = `(() => {
  const box = document.querySelector('.table').getBoundingClientRect();
  const rows = [...document.querySelectorAll('.table .rows .row')].filter((row) => {
    const { top, bottom } = row.getBoundingClientRect();
    return bottom > box.top + 26 && top < box.bottom;
  });
  return rows.length * 22 >= box.height - 26 - 22 && rows.every((row) => !row.classList.contains('loading'));
})()`;

const SCROLL = `async () => {
  const table = document.querySelector('.table');
  const tasks = [];
  const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries()));
  observer.observe({ type: 'longtask' });
  let blank = 0;
  const frames = 240;
  for (let i = 0; i < frames; i++) {
    table.scrollTop += table.clientHeight / 2;
    await new Promise((resolve) => requestAnimationFrame(resolve));
    if (!${ROWS_IN_VIEW_ARE_FILLED}) blank++;
  }
  observer.disconnect();
  const durations = (isOwn) => tasks.filter(({ name }) => (name === 'self') === isOwn).map(({ duration }) => duration);
  return { frames, blank, own: durations(true), others: durations(false) };
}`;

/** Only its header is ever read: the data is a hole in the file. */
async function writeManyTensors(path: string): Promise<void> {
  const kinds = ['attn.q', 'attn.k', 'attn.v', 'attn.proj', 'mlp.fc1', 'mlp.fc2', 'norm1', 'norm2'];
  let end = 0;
  const entries = Array.from({ length: TENSORS }, (_, i) => {
    const kind = kinds[i % kinds.length] ?? '';
    const shape = kind.startsWith('norm') ? [256] : [256, 256];
    const begin = end;
    end += shape.reduce((product, size) => product * size, 2);
    return [`model.blocks.${Math.floor(i / kinds.length)}.${kind}.weight`, { dtype: 'BF16', shape, data_offsets: [begin, end] }] as const;
  });
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const file = await open(path, 'w');
  try {
    await file.write(Buffer.concat([length, json]));
    await file.truncate(8 + json.length + end);
  } finally {
    await file.close();
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function ms(value: number): string {
  return `${value.toFixed(0)} ms`;
}
