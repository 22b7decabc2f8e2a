/** Accessibility findings in a webview, by axe-core. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { FrameLocator } from 'playwright-core';
import type { AxeResults, RunOptions } from 'axe-core';

export interface AccessibilityFinding {
  readonly rule: string;
  readonly impact: 'minor' | 'moderate' | 'serious' | 'critical';
  readonly help: string;
  readonly elements: readonly string[];
}

/** All findings, worst and others; the caller decides which it accepts. */
export async function accessibilityFindings(frame: FrameLocator): Promise<readonly AccessibilityFinding[]> {
  const source = await readFile(createRequire(__filename).resolve('axe-core/axe.min.js'), 'utf8');
  const body = frame.locator('body');
  const element = await body.elementHandle();
  const owner = await element.ownerFrame();
  if (!owner) throw new Error('The webview has no document.');
  // Run by the debugger, which the webview's content security policy does not restrict.
  await owner.evaluate(source);
  const results = await body.evaluate(async (document) => {
    const { axe } = globalThis as unknown as { axe: { run(context: unknown, options: RunOptions): Promise<AxeResults> } };
    return axe.run(document, { resultTypes: ['violations'] });
  });
  return results.violations.map((violation) => ({
    rule: violation.id,
    impact: violation.impact ?? 'minor',
    help: violation.help,
    elements: violation.nodes.map((node) => node.html),
  }));
}
