/** What an element reads, waited for: a page shows its first rows before what takes longer to know. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Locator } from 'playwright-core';

const LIMIT_MILLISECONDS = 90_000;

/** Returns the text once it matches; throws with what it read last. */
export async function reads(element: Locator, pattern: RegExp): Promise<string> {
  const deadline = Date.now() + LIMIT_MILLISECONDS;
  for (;;) {
    const text = await element.innerText({ timeout: LIMIT_MILLISECONDS });
    if (pattern.test(text)) return text;
    if (Date.now() > deadline) throw new Error(`It does not read ${String(pattern)}, but:\n${text}`);
    await sleep(50);
  }
}
