/** The Chromium in which workbenches are opened: of its own for one page, or one profile that serves a run of them. */
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { temporaryFolder, type TemporaryFolder } from './temporaryFolder';

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

/** For whatever is waited for without a limit of its own: a machine may be slow and busy. */
const LIMIT_MILLISECONDS = 90_000;

export function launchBrowser(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, headless: true, args: flags });
}

export interface ProfileOptions {
  readonly executablePath: string;
  readonly deviceScaleFactor: number;
}

/**
 * A browser that keeps from page to page what it fetched and compiled, which is most of what it takes to open a workbench, and nothing
 * else. One that died is started anew when the next page is asked for.
 */
export class BrowserProfile implements AsyncDisposable {
  #running: BrowserContext | undefined;
  readonly #folders: TemporaryFolder[] = [];

  constructor(private readonly options: ProfileOptions) {}

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** To which what pages of this origin stored before is unknown. */
  async freshPage(origin: string): Promise<Page> {
    const context = this.#running ?? (await this.#start());
    const page = await context.newPage();
    const session = await context.newCDPSession(page);
    // The service worker holds nothing of a page's.
    const storageTypes = 'cookies,file_systems,indexeddb,local_storage,cache_storage';
    await session.send('Storage.clearDataForOrigin', { origin, storageTypes });
    await session.detach();
    await context.clearPermissions();
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running?.close();
    for (const folder of this.#folders) await folder[Symbol.asyncDispose]();
  }

  async #start(): Promise<BrowserContext> {
    const folder = await temporaryFolder();
    this.#folders.push(folder);
    const { executablePath, deviceScaleFactor } = this.options;
    const context = await chromium.launchPersistentContext(folder.path, {
      executablePath,
      headless: true,
      args: flags,
      viewport: { width: 1280, height: 800 },
      deviceScaleFactor,
    });
    context.setDefaultTimeout(LIMIT_MILLISECONDS);
    context.once('close', () => {
      if (this.#running === context) this.#running = undefined;
    });
    this.#running = context;
    return context;
  }
}
