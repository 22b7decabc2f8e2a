/** The Chromium in which the workbench is opened. */
import { chromium, type Browser } from 'playwright-core';

/** What CI machines lack, and what would reach out of this machine, is off. The sandbox is: root has none, and all pages are ours. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export function launchBrowser(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, headless: true, args: flags });
}
